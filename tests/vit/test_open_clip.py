"""open_clip's towers and its silent traps, against plain open_clip."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from open_clip.constants import INCEPTION_MEAN, OPENAI_DATASET_MEAN
from safetensors.torch import save_file
from torch import Tensor

import saev.vit.open_clip_plan
from saev.errors import InputError
from saev.vit.load import load_backbone

Hooked = Callable[..., list[Tensor]]


def plain(arch: str, quick_gelu: bool = False, size: int | None = None) -> Any:
    torch.manual_seed(2)
    return open_clip.create_model(arch, force_quick_gelu=quick_gelu, force_image_size=size)


def blocks(model: Any) -> Any:
    visual = model.visual
    return visual.trunk.blocks if hasattr(visual, "trunk") else visual.transformer.resblocks


@pytest.fixture
def clip_file(tmp_path: Path) -> str:
    save_file(plain("tiny-ViT").state_dict(), tmp_path / "clip.safetensors")
    return str(tmp_path / "clip.safetensors")


@pytest.mark.parametrize(
    ("family", "ckpt", "quick_gelu"),
    [
        ("clip", "tiny-ViT/openai", True),
        ("clip", "tiny-ViT/laion", False),
        ("siglip", "tiny-SigLIP/webli", False),
    ],
)
def test_activations_equal_those_of_hooks_on_plain_open_clip_bit_for_bit(
    family: str, ckpt: str, quick_gelu: bool, tmp_path: Path, hooked: Hooked
):
    model = plain(ckpt.split("/")[0], quick_gelu)
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "w.pt")
    backbone = load_backbone(family, ckpt, str(tmp_path / "w.pt"))
    images = torch.randn(2, 3, *backbone.preprocessing.image_size)
    expected = hooked(model.visual, blocks(model), images)
    for layer, output in backbone(images, range(backbone.n_layers)).items():
        assert torch.equal(output, expected[layer]), layer


def test_openai_weights_get_quick_gelu_and_others_do_not(clip_file: str):
    images = torch.randn(2, 3, 32, 32)
    openai = load_backbone("clip", "tiny-ViT/openai", clip_file)
    laion = load_backbone("clip", "tiny-ViT/laion", clip_file)
    assert openai.weights_digest == laion.weights_digest
    assert not torch.allclose(openai(images, [0])[0], laion(images, [0])[0])


def test_a_local_siglip_file_keeps_siglips_preprocessing(tmp_path: Path):
    torch.save(plain("tiny-SigLIP").state_dict(), tmp_path / "w.pt")
    config = load_backbone("siglip", "tiny-SigLIP/webli", str(tmp_path / "w.pt")).preprocessing.config
    assert (config["resize_mode"], tuple(config["mean"])) == ("squash", INCEPTION_MEAN)
    assert tuple(load_backbone("clip", "tiny-ViT/openai", "random").preprocessing.config["mean"]) == OPENAI_DATASET_MEAN


@pytest.mark.parametrize("weights", ["file", None])
def test_an_architecture_without_tag_is_refused_with_the_reason(weights: str | None, clip_file: str):
    with pytest.raises(InputError, match=r"tiny-ViT needs a tag .*tiny-ViT/openai, tiny-ViT/laion"):
        load_backbone("clip", "tiny-ViT", weights and clip_file)


def test_the_network_gives_weights_by_tag(clip_file: str, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(
        saev.vit.open_clip_plan, "download_pretrained", lambda cfg: asked.append(cfg["hf_hub"]) or clip_file
    )
    backbone = load_backbone("clip", "tiny-ViT/openai")
    assert asked == ["tiny/openai"]
    assert backbone.weights_digest == load_backbone("clip", "tiny-ViT/openai", clip_file).weights_digest


@pytest.mark.parametrize("local", [True, False])
def test_the_hub_states_gelu_and_preprocessing_itself(local, clip_file, tmp_path, monkeypatch):
    config = {
        "model_cfg": open_clip.get_model_config("tiny-ViT") | {"quick_gelu": True},
        "preprocess_cfg": {"mean": [0.1, 0.2, 0.3], "resize_mode": "longest"},
    }
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    files = {"open_clip_config.json": str(tmp_path / "open_clip_config.json")}
    monkeypatch.setattr(
        saev.vit.open_clip_plan,
        "download_pretrained_from_hf",
        lambda model, filename=None: files[filename] if filename else clip_file,
    )
    backbone = load_backbone("clip", "hf-hub:some/one", clip_file if local else None)
    assert backbone.preprocessing.config["mean"] == [0.1, 0.2, 0.3]
    images = torch.randn(1, 3, 32, 32)
    openai = load_backbone("clip", "tiny-ViT/openai", clip_file)
    assert torch.equal(backbone(images, [1])[1], openai(images, [1])[1])


def test_without_a_network_the_refusal_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def offline(_config: object) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr(saev.vit.open_clip_plan, "download_pretrained", offline)
    with pytest.raises(InputError, match=r"cannot get tiny-ViT/openai .*no route to host.*--model.weights FILE"):
        load_backbone("clip", "tiny-ViT/openai")


def test_files_of_the_vision_tower_alone_with_or_without_its_projection(clip_file: str, tmp_path: Path):
    visual = plain("tiny-ViT").visual.state_dict()
    whole = load_backbone("clip", "tiny-ViT/laion", clip_file)
    for n, left_out in enumerate([(), ("proj",)]):
        file = tmp_path / f"{n}.safetensors"
        save_file({key: value for key, value in visual.items() if key not in left_out}, file)
        assert load_backbone("clip", "tiny-ViT/laion", str(file)).weights_digest == whole.weights_digest


def test_the_text_tower_and_the_heads_are_not_kept(clip_file: str):
    backbone = load_backbone("clip", "tiny-ViT/laion", clip_file)
    kept = set(backbone.tower.state_dict())
    assert kept == set(plain("tiny-ViT").visual.state_dict()) - {"proj"}
    siglip = load_backbone("siglip", "tiny-SigLIP/webli", "random")
    assert not any(key.startswith(("attn_pool", "head")) for key in siglip.tower.state_dict())


@pytest.mark.parametrize(("family", "ckpt"), [("clip", "tiny-ViT/laion"), ("siglip", "tiny-SigLIP/webli")])
def test_positions_are_resampled_as_open_clip_does(family: str, ckpt: str, tmp_path: Path, hooked: Hooked):
    arch = ckpt.split("/")[0]
    torch.save(plain(arch).state_dict(), tmp_path / "w.pt")
    model = open_clip.create_model(arch, pretrained=str(tmp_path / "w.pt"), force_image_size=48)
    images = torch.randn(2, 3, 48, 48)
    backbone = load_backbone(family, ckpt, str(tmp_path / "w.pt"), 48)
    assert backbone.grid == (6, 6)
    assert torch.equal(backbone(images, [3])[3], hooked(model.visual, blocks(model), images)[3])


def test_positions_are_resampled_to_another_grid_of_as_many_tokens(clip_file: str):
    square = load_backbone("clip", "tiny-ViT/laion", clip_file)
    flat = load_backbone("clip", "tiny-ViT/laion", clip_file, (16, 64))
    assert flat.grid == (2, 8)
    before, after = square.tower.positional_embedding, flat.tower.positional_embedding
    assert before.shape == after.shape
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1:], after[1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.pop("visual.transformer.resblocks.0.attn.in_proj_weight"),
            "1 missing: transformer.resblocks.0",
        ),
        (
            lambda w: w.update({"visual.transformer.resblocks.9.x": torch.zeros(1)}),
            "1 unexpected: .*resblocks.9.x",
        ),
        (lambda w: w.update({"decoder.weight": torch.zeros(1)}), "1 unexpected: decoder.weight"),
        (
            lambda w: w.update({"visual.ln_post.bias": torch.zeros(2)}),
            r"another shape: ln_post.bias \[2\] instead of \[64\]",
        ),
    ],
)
def test_weights_that_do_not_match_are_refused(
    change: Callable[[dict[str, Tensor]], Any], message: str, tmp_path: Path
):
    weights = dict(plain("tiny-ViT").state_dict())
    change(weights)
    torch.save(weights, tmp_path / "w.pt")
    with pytest.raises(InputError, match=rf"w.pt' does not fit tiny-ViT/laion.*{message}"):
        load_backbone("clip", "tiny-ViT/laion", str(tmp_path / "w.pt"))
