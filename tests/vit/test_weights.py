"""Weights files: what is read, what is refused, and positions resampled for timm."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from saev.errors import InputError
from saev.vit.load import load_backbone
from saev.vit.weights import read_weights

Hooked = Callable[..., list[Tensor]]
REAL = Path(os.environ.get("SAEV_REAL", Path(__file__).parents[3] / "shared" / "real")) / "dinov2_vits14.safetensors"


def save_vit(file: Path, name: str = "test_vit", **options: object) -> None:
    torch.manual_seed(3)
    save_file(timm.create_model(name, **options).state_dict(), file)


def test_a_file_with_a_classifier_and_one_without_are_the_same_backbone(tmp_path: Path):
    save_vit(tmp_path / "a.safetensors")
    weights = {k: v for k, v in load_file(tmp_path / "a.safetensors").items() if not k.startswith("head.")}
    torch.save({"model": weights, "epoch": 3}, tmp_path / "b.pt")
    first = load_backbone("timm", "test_vit", str(tmp_path / "a.safetensors"), 32)
    second = load_backbone("timm", "test_vit", str(tmp_path / "b.pt"), 32)
    assert first.weights_digest == second.weights_digest
    assert first.weights_digest != load_backbone("timm", "test_vit", "random", 32).weights_digest


def test_halved_weights_are_read_as_float32(tmp_path: Path):
    torch.save({"x": torch.ones(2, dtype=torch.float16), "n": torch.arange(2)}, tmp_path / "w.pt")
    weights = read_weights(tmp_path / "w.pt")
    assert (weights["x"].dtype, weights["n"].dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("w.pt", lambda f: None, "w.pt: is missing"),
        ("w.safetensors", lambda f: f.write_bytes(b"\xff" * 40), "cannot be read"),
        ("w.pt", lambda f: f.write_bytes(b""), "cannot be read"),
        ("w.pt", lambda f: f.write_bytes(pickle.dumps(print, protocol=2)), "cannot be read"),
        ("w.onnx", lambda f: f.write_bytes(b"x"), "suffix '.onnx' is none of .safetensors, .pt"),
        ("w.pt", lambda f: torch.save([torch.ones(1)], f), "holds list, not a state dict"),
        ("w.pt", lambda f: torch.save({"a": 1, "b": torch.ones(1)}, f), "a of 2 are no tensors"),
        ("w.pt", lambda f: torch.save({"state_dict": {}}, f), "not a state dict"),
    ],
)
def test_what_is_no_weights_file_is_refused_in_one_line(name: str, write: Callable, message: str, tmp_path: Path):
    write(tmp_path / name)
    with pytest.raises(InputError, match=message) as caught:
        load_backbone("timm", "test_vit", str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path: Path):
    for name, save in (("w.safetensors", save_file), ("w.pt", torch.save)):
        save({"x": torch.ones(5000)}, tmp_path / name)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:9000])
        with pytest.raises(InputError, match=r"cannot be read.*is it whole"):
            read_weights(tmp_path / name)


@pytest.mark.parametrize("other", ["resnet18", "test_vit3", "deit_tiny_patch16_224", "vit_tiny_r_s16_p8_224"])
def test_weights_of_another_architecture_are_refused(other: str, tmp_path: Path):
    save_vit(tmp_path / "w.safetensors", other)
    with pytest.raises(InputError, match=r"w.safetensors' does not fit test_vit"):
        load_backbone("timm", "test_vit", str(tmp_path / "w.safetensors"))


def test_a_name_whose_weights_differ_in_preprocessing_needs_its_tag(tmp_path: Path):
    name = "vit_small_patch16_224"
    save_vit(tmp_path / "w.safetensors", name, num_classes=0)
    with pytest.raises(InputError, match=rf"say which these are: .*{name}.dino"):
        load_backbone("timm", name, str(tmp_path / "w.safetensors"))
    backbone = load_backbone("timm", f"{name}.dino", str(tmp_path / "w.safetensors"))
    assert tuple(backbone.preprocessing.config["mean"]) == (0.485, 0.456, 0.406)


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (16, 64)])
def test_positions_are_resampled_to_the_image_size(size: tuple[int, int], tmp_path: Path, hooked: Hooked):
    torch.manual_seed(3)
    plain = timm.create_model("test_vit", img_size=64, num_classes=0, dynamic_img_size=True)
    save_file(plain.state_dict(), tmp_path / "w.safetensors")
    images = torch.randn(2, 3, *size)
    backbone = load_backbone("timm", "test_vit", str(tmp_path / "w.safetensors"), size)
    assert torch.equal(backbone(images, [5])[5], hooked(plain, plain.blocks, images)[5])


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_file(), reason=f"no real weights at {REAL}; set SAEV_REAL")
def test_real_dinov2_equals_plain_timm_with_hooks(hooked: Hooked):
    plain = timm.create_model("vit_small_patch14_dinov2", num_classes=0, dynamic_img_size=True)
    plain.load_state_dict({key: value.float() for key, value in load_file(REAL).items()})
    backbone = load_backbone("dinov2", "vit_small_patch14_dinov2", str(REAL), 224)
    assert (backbone.grid, backbone.cls, backbone.n_registers, backbone.d_model) == ((16, 16), True, 0, 384)
    assert tuple(backbone.preprocessing.config["mean"]) == (0.485, 0.456, 0.406)
    images = torch.randn(2, 3, 224, 224)
    expected = hooked(plain, plain.blocks, images)
    for layer, output in backbone(images, [0, -2]).items():
        assert torch.equal(output, expected[layer])
