"""An SAE inside backbones and plain modules, against arithmetic by hand."""

import math
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

import saev
from saev.errors import InputError
from saev.nn import ReLU, SparseAutoencoder, TopK
from saev.splicing.attach import attach
from saev.splicing.edits import Edit, edited_codes
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone

LAYER = 3


class Block(nn.Module):
    """A layer as in transformers: the stream and something else."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    @override
    def forward(self, x: Tensor) -> tuple[Tensor, str]:
        return x + self.linear(x), "attention"


class Model(nn.Module):
    """Three such layers and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block() for _ in range(3)])
        self.unused = nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)
        self.n_run = 0

    @override
    def forward(self, x: Tensor) -> Tensor:
        self.n_run = 0
        for layer in self.layers:
            x, _ = layer(x)
            self.n_run += 1
        found: Tensor = self.head(x.mean(1))
        return found


def sae_of(d_in: int, kind: type[TopK | ReLU] = TopK) -> SparseAutoencoder:
    torch.manual_seed(3)
    sae = TopK(d_in, d_sae=48, k=4) if kind is TopK else ReLU(d_in, d_sae=48)
    sae.mean_d.copy_(torch.randn(d_in))
    sae.scale_d.fill_(1.7)
    return sae.eval()


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(5)
    return load_backbone("timm", "test_vit", "random", 64)


@pytest.fixture
def pictures() -> Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def by_hand(backbone: Backbone, pictures: Tensor, x_btd: Tensor) -> Tensor:
    """The embedding when the output of `LAYER` is this one."""
    found: Tensor = backbone.tower.norm(backbone.tower.blocks[LAYER + 1 :](x_btd))[:, 0]  # type: ignore[index]
    return found


@torch.no_grad()
def test_codes_of_a_backbone_are_those_of_its_layer(backbone: Backbone, pictures: Tensor) -> None:
    sae = sae_of(backbone.d_model)
    x_btd = backbone(pictures, [LAYER])[LAYER]
    assert x_btd.shape[1] == 1 + 16
    for tokens, own in (
        ("content", slice(1, None)),
        ("cls", slice(1)),
        ("all", slice(None)),
        (range(2, 5), slice(2, 5)),
    ):
        with saev.attach(backbone, sae, LAYER - backbone.n_layers, tokens=tokens) as inside:
            torch.testing.assert_close(inside.codes(pictures), sae.encode(x_btd[:, own]), rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize("kind", [TopK, ReLU])
def test_edits_are_what_the_later_blocks_make_of_the_changed_tokens(
    backbone: Backbone, pictures: Tensor, kind: type[TopK | ReLU]
) -> None:
    sae = sae_of(backbone.d_model, kind)
    x_btd = backbone(pictures, [LAYER])[LAYER]
    f_bps = sae.encode(x_btd[:, 1:])
    latent = int(f_bps.sum((0, 1)).argmax())
    mask = torch.zeros(3, 16, dtype=torch.bool)
    mask[1, 4:9] = True
    changed = f_bps.clone()
    changed[..., latent] = torch.where(mask, 5.0, changed[..., latent])
    changed[:, [0, 2], 7] += 1.5
    edits = [Edit(latent, "set", 5.0, tokens=mask), Edit(7, "add", 1.5, tokens=[0, 2])]
    with attach(backbone, sae, LAYER) as inside:
        without = inside.edited(pictures, edits, keep_error=False)
        kept = inside.edited(pictures, edits)
        spliced = inside.spliced(pictures)
    new_btd = torch.cat([x_btd[:, :1], sae.decode(changed)], 1)
    torch.testing.assert_close(without, by_hand(backbone, pictures, new_btd))
    delta_bpd = 1.7 * (changed - f_bps) @ sae.W_dec
    new_btd = torch.cat([x_btd[:, :1], x_btd[:, 1:] + delta_bpd], 1)
    torch.testing.assert_close(kept, by_hand(backbone, pictures, new_btd), rtol=1e-4, atol=1e-4)
    new_btd = torch.cat([x_btd[:, :1], sae(x_btd[:, 1:])], 1)
    torch.testing.assert_close(spliced, by_hand(backbone, pictures, new_btd))
    assert (kept - backbone.embed(pictures)).abs().max() > 1e-3


@torch.no_grad()
def test_without_edits_nothing_changes_not_even_by_rounding(backbone: Backbone, pictures: Tensor) -> None:
    with attach(backbone, sae_of(backbone.d_model), LAYER) as inside:
        silent = int((inside.codes(pictures).amax((0, 1)) == 0).nonzero()[0])
        assert torch.equal(inside.edited(pictures, []), backbone.embed(pictures))
        assert torch.equal(inside.edited(pictures, [Edit(silent, "zero")]), backbone.embed(pictures))


@torch.no_grad()
def test_a_plain_module_and_its_layer_by_name() -> None:
    torch.manual_seed(0)
    model, sae = Model(), sae_of(16)
    x = torch.randn(2, 5, 16)
    stream, _ = model.layers[1](model.layers[0](x)[0])
    with attach(model, sae, "layers.1", tokens=range(1, 4)) as inside:
        assert torch.equal(inside.codes(x), sae.encode(stream[:, 1:4]))
        assert model.n_run == 1, "the pass went on after the layer"
        changed = stream.clone()
        changed[:, 1:4] = sae.decode(edited_codes(sae.encode(stream[:, 1:4]), [Edit([1, 2], "scale", 3.0)]))
        expected = model.head(model.layers[2](changed)[0].mean(1))
        assert torch.equal(inside.edited(x, [Edit([1, 2], "scale", 3.0)], keep_error=False), expected)
        # A pass of the user's own.
        with inside.editing([Edit([1, 2], "scale", 3.0)], keep_error=False):
            assert torch.equal(model(x), expected)
        plain = model(x)
    assert torch.equal(model(x), plain)
    assert not model.layers[1]._forward_hooks


class Stream(NamedTuple):
    h: Tensor
    attention: str


class Named(nn.Module):
    """A layer that gives a named tuple."""

    @override
    def forward(self, x: Tensor) -> Stream:
        return Stream(x * 1.0, "attention")


def test_a_named_tuple_stays_one() -> None:
    layer, x = Named(), torch.randn(2, 5, 16)
    sae = sae_of(16)
    with attach(layer, sae, "") as inside:
        found = inside.spliced(x)
    assert isinstance(found, Stream)
    assert torch.equal(found.h, sae(x).detach())


def test_autocast_is_the_models_alone() -> None:
    model, sae, x = Model(), sae_of(16), torch.randn(2, 5, 16)
    with attach(model, sae, "layers.1") as inside:
        x_bpd = inside.activations(x)
        with torch.autocast("cpu", torch.bfloat16):
            f_bps = inside.encode(x_bpd)
            half = inside.edited(x, [Edit(3, "add", 1.0)])
    assert torch.equal(f_bps, sae.encode(x_bpd))
    assert half.dtype == torch.bfloat16
    with attach(model, sae.to(torch.bfloat16), "layers.1") as inside:
        assert inside.codes(x).dtype == torch.bfloat16


def test_a_place_is_entered_once_at_a_time() -> None:
    model, x = Model(), torch.randn(2, 5, 16)
    inside = attach(model, sae_of(16), "layers.1")
    with inside, pytest.raises(InputError, match="attached already"), inside:
        pass
    assert not model.layers[1]._forward_hooks
    with inside, attach(model, sae_of(16), "layers.1") as other:
        both = inside.codes(x), other.codes(x)
    assert torch.equal(*both)


def test_a_mask_has_a_row_for_each_image_however_the_codes_are_divided(
    backbone: Backbone, pictures: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = torch.zeros(3, 16, dtype=torch.bool)
    mask[1, 4:9] = True
    with attach(backbone, sae_of(backbone.d_model), LAYER) as inside:
        whole = inside.edited(pictures, Edit(3, "add", 4.0, tokens=mask))
        assert torch.equal(whole[0], inside.edited(pictures, [])[0])
        monkeypatch.setattr("saev.nn.functional.CODES_BYTES", 4 * 48 * 16)
        torch.testing.assert_close(inside.edited(pictures, Edit(3, "add", 4.0, tokens=mask)), whole)
        with pytest.raises(InputError, match="mask of 2 images: 3 are edited"):
            inside.edited(pictures, Edit(3, "add", 4.0, tokens=mask[:2]))


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_codes_in_parts_are_the_same(backbone: Backbone, pictures: Tensor, monkeypatch: Any, batch: int) -> None:
    sae = sae_of(backbone.d_model)
    with attach(backbone, sae, LAYER) as inside:
        whole = inside.codes(pictures), inside.edited(pictures, [Edit(3, "add", 1.0)])
        monkeypatch.setattr("saev.nn.functional.CODES_BYTES", 4 * 48 * 16 * batch)
        parts = inside.codes(pictures), inside.edited(pictures, [Edit(3, "add", 1.0)])
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda: Edit(48, "zero"), "latent 48 does not exist: the SAE has latents 0 to 47"),
        (lambda: Edit(-1, "zero"), "latent -1 does not exist"),
        (lambda: Edit([], "zero"), "one latent or more"),
        (lambda: Edit([True, False], "zero"), "must be whole numbers"),
        (lambda: Edit([0.5], "zero"), "must be whole numbers"),  # type: ignore[list-item]
        (lambda: Edit(1, "double"), "how='double' must be one of zero, set, scale, add"),  # type: ignore[arg-type]
        (lambda: Edit(1, "set", math.nan), "value=nan must be finite"),
        (lambda: Edit(1, "zero", 2.0), 'value=2.0: "zero" takes no value'),
        (lambda: Edit(1, "zero", tokens=[16]), "token 16 does not exist: the SAE takes 16 tokens, 0 to 15"),
        (lambda: Edit(1, "zero", tokens=[0.5]), "token 0.5 does not exist"),  # type: ignore[list-item]
        (
            lambda: Edit(1, "zero", tokens=torch.ones(15, dtype=torch.bool)),
            r"mask of the shape \(15,\): .*give \(16,\)",
        ),
    ],
)
def test_edits_that_make_no_sense_are_refused(backbone: Backbone, pictures: Tensor, edit: Any, said: str) -> None:
    with attach(backbone, sae_of(backbone.d_model), LAYER) as inside, pytest.raises(InputError, match=said):
        inside.edited(pictures, [edit()])
    assert not backbone.block(LAYER)._forward_hooks


def test_what_cannot_be_attached_is_refused(backbone: Backbone, pictures: Tensor) -> None:
    sae, model, x = sae_of(16), Model(), torch.randn(2, 5, 16)
    with pytest.raises(InputError, match="the second argument is Model, not an SAE"):
        attach(sae, model, "layers.1")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"Model has no layer 'layer\.1', but layers\.1"):
        attach(model, sae, "layer.1")
    with pytest.raises(InputError, match="Model has no layer 1, but layers"):
        attach(model, sae, 1)
    with pytest.raises(InputError, match="give a range of positions"):
        attach(model, sae, "layers.1", tokens="content")
    for tokens in (range(0), range(0, 5, 2), range(4, -1, -1)):
        with pytest.raises(InputError, match="must be one position or more, ascending by 1"):
            attach(model, sae, "layers.1", tokens=tokens)
    for where in (model, backbone):
        with pytest.raises(InputError, match=r"tokens=\[0, 1\] must be a range"):
            attach(where, sae, "layers.1", tokens=[0, 1])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="width 16, test_vit has 64"):
        attach(backbone, sae, LAYER)
    with pytest.raises(InputError, match="layer 40 does not exist"):
        attach(backbone, sae_of(64), 40)
    with pytest.raises(InputError, match="layers of test_vit are numbers from 0 to 5"):
        attach(backbone, sae_of(64), "blocks.3")
    with pytest.raises(InputError, match="no registers tokens"):
        attach(backbone, sae_of(64), LAYER, tokens="registers")
    with pytest.raises(InputError, match=r"within `with saev\.attach"):
        attach(model, sae, "layers.1").codes(x)
    with (
        attach(model, sae_of(8), "layers.1") as inside,
        pytest.raises(InputError, match=r"\(2, 5, 16\), the SAE .* 8\)"),
    ):
        inside.codes(x)
    with attach(model, sae_of(16), "head") as inside, pytest.raises(InputError, match=r"'head' gives \(2, 2\)"):
        inside.codes(x)
    with attach(model, sae, "unused") as inside, pytest.raises(InputError, match="did not come to layer 'unused'"):
        inside.codes(x)
    with (
        attach(model, sae, "layers.0", tokens=range(4, 9)) as inside,
        pytest.raises(InputError, match="gives 5 tokens"),
    ):
        inside.codes(x)
    named = attach(model, sae, "layers.0", forward=lambda x: {"logits": model(x)})
    with named as inside, pytest.raises(InputError, match="gives dict, not a tensor"):
        inside.variants(x, lambda x_btd: {"same": x_btd})
