"""The CLIP with both towers, against plain open_clip, and what is refused as one."""

import json
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

import saev.vit.open_clip_plan
import saev.vit.text
from saev.errors import InputError
from saev.vit.load import load_backbone
from saev.vit.text import Clip, load_clip

TEXTS = ["a photo of a cat", "Bokeh", "stripes, " * 60, "é 猫"]


def plain() -> Any:
    torch.manual_seed(2)
    return open_clip.create_model("tiny-CLIP", force_quick_gelu=True).eval()


@pytest.fixture
def clip_file(tmp_path: Path) -> str:
    save_file(plain().state_dict(), tmp_path / "clip.safetensors")
    return str(tmp_path / "clip.safetensors")


@pytest.fixture
def colours() -> list[Image.Image]:
    sizes = [(32, 32), (50, 20), (7, 90), (200, 100)]
    return [Image.new("RGB", size, (60 * n, 200 - 40 * n, 9 * n)) for n, size in enumerate(sizes)]


def test_texts_and_pictures_are_embedded_as_by_open_clip(clip_file: str, colours: list[Image.Image]) -> None:
    model, clip = plain(), load_clip("tiny-CLIP/openai", clip_file)
    transform = open_clip.image_transform(32, is_train=False, mean=clip.preprocessing.config["mean"])
    with torch.no_grad():
        texts_ne = model.encode_text(open_clip.get_tokenizer("tiny-CLIP")(TEXTS), normalize=True)
        images_ne = model.encode_image(torch.stack([transform(picture) for picture in colours]), normalize=True)
    assert torch.allclose(clip.embed_texts(TEXTS), texts_ne, atol=1e-5)
    assert torch.allclose(clip.embed_images(colours), images_ne, atol=1e-5)


def test_batches_change_nothing(colours: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    clip = load_clip("tiny-CLIP/openai", "random")
    whole = clip.embed_texts(TEXTS), clip.embed_images(colours)
    monkeypatch.setattr(saev.vit.text, "TEXTS_AT_ONCE", 3)
    monkeypatch.setattr(saev.vit.text, "PICTURES_AT_ONCE", 3)
    assert torch.allclose(whole[0], clip.embed_texts(TEXTS), atol=1e-5)
    assert torch.allclose(whole[1], clip.embed_images(colours), atol=1e-5)


def test_it_is_frozen_the_same_each_time_and_leaves_the_callers_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    clip = load_clip("tiny-CLIP/openai", "random")
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(load_clip("tiny-CLIP/openai", "random").embed_texts(TEXTS), clip.embed_texts(TEXTS))
    clip.train()
    assert not any(module.training for module in clip.modules())
    assert not any(parameter.requires_grad for parameter in clip.parameters())


def test_pictures_of_any_mode(colours: list[Image.Image]) -> None:
    clip = load_clip("tiny-CLIP/openai", "random")
    grey = colours[3].convert("L")
    assert torch.equal(clip.embed_images([grey]), clip.embed_images([grey.convert("RGB")]))


def test_the_projection_carries_the_residual_stream_to_the_embedding(colours: list[Image.Image]) -> None:
    clip = load_clip("tiny-CLIP/openai", "random")
    seen: list[Tensor] = []
    visual: Any = clip.model.visual
    visual.ln_post.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    embedded_ne = clip.embed_images(colours)
    ln_weight_d, projection_de = clip.visual_projection()
    x_nd = seen[0].reshape(len(colours), -1, len(ln_weight_d))[:, 0]
    normed_nd = torch.nn.functional.layer_norm(x_nd, (len(ln_weight_d),)) * ln_weight_d + visual.ln_post.bias
    assert torch.allclose(normalize(normed_nd @ projection_de, dim=-1), embedded_ne, atol=1e-5)


def test_towers_without_one_projection_are_refused(colours: list[Image.Image]) -> None:
    model = open_clip.create_model("tiny-SigLIP")
    clip = Clip(model, None, load_clip("tiny-CLIP/openai", "random").preprocessing, "tiny-SigLIP/webli")
    assert clip.embed_images(colours).shape[0] == len(colours)
    with pytest.raises(InputError, match=r"tiny-SigLIP/webli has no single projection"):
        clip.visual_projection()


@pytest.mark.parametrize(("family", "ckpt"), [("clip", "tiny-CLIP/openai"), ("siglip", "tiny-SigLIP/webli")])
def test_its_tower_has_the_digest_that_a_recording_by_it_has(
    family: str, ckpt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saev.vit.text, "_tokenizer", lambda *_: None)  # that of SigLIP needs another package
    torch.manual_seed(2)
    model = open_clip.create_model(ckpt.partition("/")[0], force_quick_gelu=family == "clip")
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    file = str(tmp_path / "w.safetensors")
    clip = load_clip(ckpt, file)
    assert clip.tower_digest == load_backbone(family, ckpt, file).weights_digest
    assert clip.tower_digest is clip.tower_digest  # gigabytes are not hashed again for each of thousands of names


def test_weights_of_a_training_checkpoint_and_of_the_old_openai_form(clip_file: str, tmp_path: Path) -> None:
    weights = plain().state_dict()
    old = {**weights, "input_resolution": torch.tensor(32), "context_length": torch.tensor(77)}
    torch.save(old, tmp_path / "old.pt")
    torch.save({"state_dict": {f"module.{key}": value for key, value in weights.items()}}, tmp_path / "ddp.pt")
    expected = load_clip("tiny-CLIP/openai", clip_file).embed_texts(TEXTS)
    for name in ("old.pt", "ddp.pt"):
        assert torch.equal(load_clip("tiny-CLIP/openai", str(tmp_path / name)).embed_texts(TEXTS), expected)


@pytest.mark.parametrize("ckpt", ["vit_small_patch14_dinov2", "vit_small_patch14_dinov2.lvd142m"])
def test_a_vision_model_alone_is_no_namer(ckpt: str) -> None:
    with pytest.raises(InputError, match=r"--visualizer.namer vit_small.*model of timm and has no text tower"):
        load_clip(ckpt)


def test_a_file_of_the_vision_tower_alone_is_refused(tmp_path: Path) -> None:
    weights = {key: value for key, value in plain().state_dict().items() if key.startswith("visual.")}
    save_file(weights, tmp_path / "visual.safetensors")
    with pytest.raises(InputError, match=r"--visualizer.namer_weights .*visual.safetensors holds no text tower"):
        load_clip("tiny-CLIP/openai", str(tmp_path / "visual.safetensors"))


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    save_file(open_clip.create_model("tiny-ViT").state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"does not fit tiny-CLIP/openai .*or the --visualizer.namer that they belong"):
        load_clip("tiny-CLIP/openai", str(tmp_path / "other.safetensors"))


@pytest.mark.parametrize(
    ("ckpt", "message"),
    [
        ("tiny-CLAP/openai", r"unknown clip architecture .*'tiny-CLAP' in --visualizer.namer; did you mean tiny-CLIP"),
        ("tiny-CLIP/opnai", r"unknown tag of tiny-CLIP 'opnai' in --visualizer.namer; did you mean openai"),
        ("tiny-CLIP", r"--visualizer.namer tiny-CLIP needs a tag"),
    ],
)
def test_unknown_names_are_refused(ckpt: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_clip(ckpt)


def test_a_model_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_args: object, **_kwargs: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(saev.vit.open_clip_plan, "download_pretrained", offline)
    monkeypatch.setattr(saev.vit.open_clip_plan, "download_pretrained_from_hf", offline)
    for ckpt in ("tiny-CLIP/openai", "hf-hub:some/clip"):
        with pytest.raises(InputError, match=rf"cannot get {ckpt} .*no route to host.*--visualizer.namer_weights FILE"):
            load_clip(ckpt)


def test_a_tokenizer_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ModuleNotFoundError("No module named 'transformers'")

    monkeypatch.setattr(open_clip, "get_tokenizer", missing)
    with pytest.raises(InputError, match=r"tokenizer of tiny-SigLIP/webli \(No module named 'transformers'\)"):
        load_clip("tiny-SigLIP/webli", "random")


def test_a_hub_model_without_text_tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"model_cfg": {"embed_dim": 8, "vision_cfg": {}}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setattr(
        saev.vit.open_clip_plan, "download_pretrained_from_hf", lambda *_, **__: tmp_path / "open_clip_config.json"
    )
    with pytest.raises(InputError, match=r"hf-hub:some/vit has no text tower"):
        load_clip("hf-hub:some/vit")
