"""The ViT that an SAE's config.json names."""

from typing import Any

import pytest
import torch

from saev.artifacts import About
from saev.errors import InputError
from saev.splicing.recorded_backbone import load_recorded_backbone
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone


@pytest.fixture(scope="module")
def vit() -> Backbone:
    return load_backbone("timm", "test_vit", "random", (32, 48))


def about(vit: Backbone, **changes: Any) -> About:
    model = {"family": "timm", "ckpt": "test_vit", "weights_digest": vit.weights_digest, "precision": "float32"}
    config = {"layer": 3, "preprocessing": vit.preprocessing.to_dict(), "model": model | changes}
    return About(config, "content", [])


def test_size_and_precision_are_those_of_the_recording(vit: Backbone) -> None:
    found = load_recorded_backbone(about(vit), "random")
    assert found.preprocessing.image_size == (32, 48)
    assert found.weights_digest == vit.weights_digest
    assert next(found.parameters()).dtype == torch.float32
    half = load_recorded_backbone(about(vit, precision="bfloat16"), "random")
    assert next(half.parameters()).dtype == torch.bfloat16


def test_other_weights_are_refused(vit: Backbone) -> None:
    with pytest.raises(InputError, match=f"weights 000000000000.* random gives {vit.weights_digest[:12]}.*--weights"):
        load_recorded_backbone(about(vit, weights_digest="0" * 64), "random")


def test_another_preprocessing_is_refused(vit: Backbone) -> None:
    changed = about(vit)
    changed.trained_on["preprocessing"]["config"]["crop_pct"] = 0.5
    with pytest.raises(InputError, match=r"crop_pct': 0\.5.* now prepares them"):
        load_recorded_backbone(changed, "random")


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"weights_digest": "unknown"}, "weights_digest"), ({"ckpt": None}, "ckpt"), ({"precision": "int4"}, "precision")],
)
def test_a_vit_that_is_not_known_is_refused(vit: Backbone, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=rf"does not say which ViT .*\({said}\)"):
        load_recorded_backbone(about(vit, **changes), "random")


def test_an_sae_of_several_layers_is_refused(vit: Backbone) -> None:
    one = about(vit)
    pair = About(one.trained_on, "content", [], [dict(one.trained_on) | {"layer": 5}])
    with pytest.raises(InputError, match="layers 3, 5 at once"):
        load_recorded_backbone(pair, "random")
