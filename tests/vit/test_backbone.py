from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from saev.errors import InputError
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone

Hooked = Callable[..., list[Tensor]]


@pytest.fixture(scope="module")
def vit() -> Backbone:
    return load_backbone("timm", "test_vit", "random", 32)


@pytest.mark.parametrize(
    ("family", "ckpt", "size", "grid", "cls", "n_registers", "d_model"),
    [
        ("timm", "test_vit", 32, (2, 2), True, 0, 64),
        ("timm", "test_vit", (32, 64), (2, 4), True, 0, 64),
        ("timm", "tiny_registers", 32, (2, 2), False, 4, 64),
        ("timm", "deit_tiny_distilled_patch16_224", 32, (2, 2), True, 1, 192),
        ("timm", "eva02_tiny_patch14_224", 28, (2, 2), True, 0, 192),
        ("dinov2", "vit_small_patch14_dinov2", 28, (2, 2), True, 0, 384),
        ("dinov2", "vit_small_patch14_reg4_dinov2", (28, 42), (2, 3), True, 4, 384),
        ("dinov3", "vit_small_patch16_dinov3", 32, (2, 2), True, 4, 384),
        ("clip", "tiny-ViT/openai", None, (4, 4), True, 0, 64),
        ("clip", "tiny-ViT/laion", (16, 64), (2, 8), True, 0, 64),
        ("siglip", "tiny-SigLIP/webli", None, (4, 4), False, 0, 64),
        ("siglip", "tiny-SigLIP/webli", (16, 40), (2, 5), False, 0, 64),
        pytest.param("clip", "EVA02-B-16/merged2b_s8b_b131k", 32, (2, 2), True, 0, 768, marks=pytest.mark.daily),
    ],
)
def test_everything_is_found_out(family, ckpt, size, grid, cls, n_registers, d_model):
    backbone = load_backbone(family, ckpt, "random", size)
    found = (backbone.grid, backbone.cls, backbone.n_registers, backbone.d_model)
    assert found == (grid, cls, n_registers, d_model)
    height, width = backbone.preprocessing.image_size
    outputs = backbone(torch.rand(1, 3, height, width), [0])
    assert outputs[0].shape == (1, cls + n_registers + grid[0] * grid[1], d_model)


def test_the_default_size_is_the_models_own():
    assert load_backbone("timm", "test_vit", "random").preprocessing.image_size == (160, 160)


@pytest.mark.parametrize(
    "name",
    ["vit_small_patch14_dinov2", "vit_small_patch14_reg4_dinov2", "vit_small_patch16_dinov3", "test_vit"],
)
def test_activations_equal_those_of_hooks_on_plain_timm_bit_for_bit(name: str, tmp_path: Path, hooked: Hooked):
    size = 64 if "16" in name or name == "test_vit" else 56
    torch.manual_seed(1)
    plain = timm.create_model(name, img_size=size, num_classes=0)
    torch.save(plain.state_dict(), tmp_path / "w.pt")
    images = torch.randn(3, 3, size, size)
    expected = hooked(plain, plain.blocks, images)

    family = next((family for family in ("dinov2", "dinov3") if family in name), "timm")
    backbone = load_backbone(family, name, str(tmp_path / "w.pt"), size)
    outputs = backbone(images, range(backbone.n_layers))

    assert list(outputs) == list(range(len(plain.blocks)))
    for layer, output in outputs.items():
        assert torch.equal(output, expected[layer]), layer
    assert not torch.equal(outputs[0], outputs[1])


def test_the_forward_pass_stops_after_the_last_layer_needed(vit: Backbone):
    called = []
    for number, block in enumerate(vit.tower.blocks):
        block.register_forward_hook(lambda _m, _i, _o, number=number: called.append(number))
    outputs = vit(torch.rand(2, 3, 32, 32), [-4, 0])
    assert called == [0, 1, 2]
    assert list(outputs) == [0, 2]


@given(layers=st.lists(st.integers(-6, 5), min_size=1))
def test_layers_resolve_to_ascending_numbers(vit: Backbone, layers: list[int]):
    assert vit.n_layers == 6
    assert vit.resolve_layers(layers) == [n for n in range(6) if n in layers or n - 6 in layers]


@pytest.mark.parametrize("layers", [[6], [-7], [0, 99], []])
def test_layers_that_do_not_exist_are_refused(vit: Backbone, layers: list[int]):
    with pytest.raises(InputError, match=r"test_vit has 6 layers, numbered 0 to 5 or -6 to -1"):
        vit.resolve_layers(layers)


def test_a_backbone_stays_frozen_and_in_evaluation_mode(vit: Backbone):
    vit.train()
    assert not any(module.training for module in vit.modules())
    assert not any(parameter.requires_grad for parameter in vit.parameters())
    assert not vit(torch.rand(1, 3, 32, 32), [0])[0].requires_grad


def test_a_backbone_runs_in_bfloat16():
    backbone = load_backbone("timm", "test_vit", "random", 32).to(torch.bfloat16)
    output = backbone(torch.rand(1, 3, 32, 32, dtype=torch.bfloat16), [-1])[5]
    assert output.dtype == torch.bfloat16
    assert output.isfinite().all()


def test_random_weights_are_the_same_each_time_and_leave_the_callers_random_numbers_alone():
    torch.manual_seed(5)
    first = load_backbone("timm", "test_vit", "random", 32)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(3))
    assert first.weights_digest == load_backbone("timm", "test_vit", "random", 32).weights_digest
    assert first.weights_digest != load_backbone("timm", "test_vit2", "random", 32).weights_digest


@pytest.mark.parametrize(
    ("family", "ckpt", "size", "message"),
    [
        (
            "clap",
            "x",
            None,
            "--model.family names the backbone 'clap', known are clip, dinov2, dinov3, siglip, timm: --import",
        ),
        ("timm", "vit_smal_patch16_224", None, "did you mean .*vit_small_patch16_224"),
        ("timm", "test_vit.r161_in1k", None, "unknown tag of test_vit 'r161_in1k'.*r160_in1k"),
        ("dinov2", "vit_smal_patch16_224", None, "unknown dinov2 model.*dinov2"),
        (
            "dinov2",
            "vit_small_patch16_224",
            None,
            "vit_small_patch16_224 is no model of the family dinov2: give --model.family timm",
        ),
        ("clip", "ViT-B-23/openai", None, "unknown clip architecture.*did you mean .*ViT-B-32"),
        ("clip", "ViT-B-32/opnai", None, "unknown tag of ViT-B-32 'opnai'.*openai"),
        ("clip", "ViT-B-16-SigLIP/webli", None, "family clip: give --model.family siglip"),
        ("siglip", "ViT-B-32/opnai", None, "family siglip: give --model.family clip"),
        ("clip", "vit_small_patch14_dinov2.lvd", None, "clip: give --model.family dinov2 or timm"),
        ("timm", "convnext_atto", None, "is a ConvNeXt, not a plain vision transformer"),
        ("timm", "resnet18", 64, "resnet18 is a .*not a plain vision transformer"),
        ("timm", "swin_tiny_patch4_window7_224", 225, "not a plain vision transformer"),
        ("timm", "efficientnet_b0", None, "is a EfficientNet, not"),
        ("clip", "RN50/openai", None, "is a ResNet, not a plain"),
        ("clip", "MobileCLIP-S1/datacompdr", None, "is a FastVit, not a plain"),
        (
            "timm",
            "test_vit",
            33,
            r"\(33, 33\) is not a multiple of the patch size \(16, 16\).*\(32, 32\) would be",
        ),
        ("clip", "tiny-ViT/openai", (4, 32), r"\(4, 32\) is not a multiple .*\(8, 32\) would be"),
        ("siglip", "tiny-SigLIP/webli", 30, r"\(30, 30\) is not a multiple"),
        ("timm", "test_vit", 0, "--model.image_size 0 must be a number, or height and width, of 1 to 16384"),
    ],
)
def test_wrong_names_and_sizes_are_refused_in_one_line(family, ckpt, size, message):
    with pytest.raises(InputError, match=message) as caught:
        load_backbone(family, ckpt, "random", size)
    assert "\n" not in str(caught.value)
