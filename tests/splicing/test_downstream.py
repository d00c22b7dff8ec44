"""Splicing against the whole pass of the plain models."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from saev.errors import InputError
from saev.nn import TopK
from saev.splicing.attach import attach
from saev.splicing.attached import Attached
from saev.splicing.downstream import ABLATED, ORIGINAL, SPLICED, WITH_ERROR, standard_variants
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone

MODELS = [
    ("timm", "test_vit", 32),
    ("timm", "tiny_registers", 32),  # mean patch
    ("timm", "eva02_tiny_patch14_224", 28),  # rotary positions
    ("timm", "tiny_beit", 32),  # relative positions
    ("dinov2", "vit_small_patch14_reg4_dinov2", 28),
    ("dinov3", "vit_small_patch16_dinov3", 32),
    ("clip", "tiny-ViT/openai", None),
    ("siglip", "tiny-SigLIP/webli", None),  # attention pooling
]


def images(backbone: Backbone, n: int = 3) -> Tensor:
    size = backbone.preprocessing.image_size
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(0))


def attached(backbone: Backbone, layer: int, tokens: str | range = "content") -> Attached:
    return attach(backbone, TopK(backbone.d_model, d_sae=2 * backbone.d_model, k=4).eval(), layer, tokens=tokens)


@pytest.mark.parametrize(("family", "ckpt", "size"), MODELS)
def test_with_the_error_put_back_the_embedding_is_that_of_the_undisturbed_pass(family: str, ckpt: str, size: int):
    backbone = load_backbone(family, ckpt, "random", size)
    pictures, layer = images(backbone), backbone.n_layers - 2
    seen = []
    # All tokens: with random weights patches hardly reach the CLS token.
    with attached(backbone, layer, "all") as inside:

        def variants(x: Tensor) -> dict[str, Tensor]:
            seen.append(x)
            return standard_variants(inside, x, x.flip(-1) + 0.3, torch.linspace(-1, 1, backbone.d_model))

        found = inside.variants(pictures, variants)
    with torch.no_grad():
        undisturbed = backbone.embed(pictures)
        assert torch.equal(seen[0], backbone(pictures, [layer])[layer])
    assert undisturbed.shape == (3, backbone.d_model)
    torch.testing.assert_close(found[ORIGINAL], undisturbed, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[WITH_ERROR], undisturbed, rtol=1e-4, atol=1e-4)
    for name in (SPLICED, ABLATED):
        assert (found[name] - undisturbed).abs().max() > 1e-3, name
    assert (found[SPLICED] - found[ABLATED]).abs().max() > 1e-3
    assert not backbone.block(layer)._forward_hooks


@pytest.mark.parametrize("layer", [0, 2, 5])
def test_a_splice_is_what_the_later_blocks_make_of_it(layer: int):
    backbone = load_backbone("timm", "test_vit", "random", 32)
    pictures, tower = images(backbone), backbone.tower
    x_hat = torch.randn(3, 5, 64, generator=torch.Generator().manual_seed(1))
    with attached(backbone, layer) as inside:
        found = inside.variants(pictures, lambda _: {"new": x_hat, "zero": torch.zeros_like(x_hat)})
    with torch.no_grad():
        for name, x in (("new", x_hat), ("zero", torch.zeros_like(x_hat))):
            expected = tower.norm(tower.blocks[layer + 1 :](x))[:, 0]
            torch.testing.assert_close(found[name], expected)


def test_only_the_chosen_tokens_are_replaced():
    x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    x_hat, mean = torch.full((2, 2, 4), 7.0), torch.arange(4.0)
    inside = attach(nn.Identity(), TopK(4, d_sae=8, k=2), "", tokens=range(1, 3))
    found = standard_variants(inside, x, x_hat, mean)
    assert list(found) == [ORIGINAL, SPLICED, WITH_ERROR, ABLATED]
    assert torch.equal(found[ORIGINAL], x)
    torch.testing.assert_close(found[WITH_ERROR], x)
    for name, new in ((SPLICED, x_hat), (ABLATED, mean.expand(2, 2, 4))):
        assert torch.equal(found[name][:, 1:3], new)
        assert torch.equal(found[name][:, [0, 3, 4, 5]], x[:, [0, 3, 4, 5]])


def test_embeddings_are_those_of_plain_models(tmp_path):
    torch.manual_seed(1)
    plain: Any = timm.create_model("vit_small_patch14_dinov2", img_size=28, num_classes=0)
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    backbone = load_backbone("dinov2", "vit_small_patch14_dinov2", str(tmp_path / "w.pt"), 28)
    pictures = images(backbone)
    with torch.no_grad():
        assert torch.equal(backbone.embed(pictures), plain.eval()(pictures))


def test_clips_embedding_is_what_its_projection_takes():
    backbone = load_backbone("clip", "tiny-ViT/laion", "random")
    pictures, tower = images(backbone), backbone.tower
    with torch.no_grad():
        last = backbone(pictures, [-1])[backbone.n_layers - 1]
        torch.testing.assert_close(backbone.embed(pictures), tower.ln_post(last)[:, 0])


def test_pooling_by_weights_that_were_left_out_is_refused():
    backbone = load_backbone("clip", "coca_ViT-B-32/laion2b_s13b_b90k", "random", 32)
    with pytest.raises(InputError, match="pools by attention"):
        backbone.embed(images(backbone, 1))
