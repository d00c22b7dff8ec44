"""The ViT that an SAE's config.json names."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from saev.artifacts import Provenance, RecordedLayer
from saev.errors import InputError
from saev.nn import TopK
from saev.splicing.recorded_backbone import attach_recorded, load_recorded_backbone
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone


@pytest.fixture(scope="module")
def vit() -> Backbone:
    return load_backbone("timm", "test_vit", "random", (32, 48))


def recorded(vit: Backbone, **changes: Any) -> RecordedLayer:
    known = RecordedLayer("timm", "test_vit", vit.weights_digest, "float32", 3, vit.preprocessing.to_dict())
    return replace(known, **changes)


def test_size_and_precision_are_those_of_the_recording(vit: Backbone) -> None:
    found = load_recorded_backbone(recorded(vit), "random")
    assert found.preprocessing.image_size == (32, 48)
    assert found.weights_digest == vit.weights_digest
    assert next(found.parameters()).dtype == torch.float32
    half = load_recorded_backbone(recorded(vit, precision="bfloat16"), "random")
    assert next(half.parameters()).dtype == torch.bfloat16


def test_other_weights_are_refused(vit: Backbone) -> None:
    with pytest.raises(InputError, match=f"weights 000000000000.* random gives {vit.weights_digest[:12]}.*--weights"):
        load_recorded_backbone(recorded(vit, weights_digest="0" * 64), "random")


def test_another_preprocessing_is_refused(vit: Backbone) -> None:
    preprocessing = vit.preprocessing.to_dict()
    preprocessing["config"]["crop_pct"] = 0.5
    with pytest.raises(InputError, match=r"crop_pct': 0\.5.* now prepares them"):
        load_recorded_backbone(recorded(vit, preprocessing=preprocessing), "random")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ckpt": None}, r"does not say which ViT .*\(ckpt\): give .* --shards, or --model\.family"),
        ({"family": None, "ckpt": None}, r"\(family, ckpt\)"),
        ({"precision": "int4"}, "in int4, this version of saev has float32, bfloat16"),
    ],
)
def test_a_vit_that_is_not_known_is_refused(vit: Backbone, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_recorded_backbone(recorded(vit, **changes), "random")


def test_what_is_not_known_is_that_of_the_vit(vit: Backbone) -> None:
    found = load_recorded_backbone(RecordedLayer("timm", "test_vit"), "random")
    assert next(found.parameters()).dtype == torch.float32
    assert found.preprocessing.image_size != vit.preprocessing.image_size


def test_several_layers_and_missing_places_are_refused(vit: Backbone) -> None:
    sae, one = TopK(vit.d_model, d_sae=80, k=2), recorded(vit)
    for provenance, said in (
        (Provenance([one, replace(one, layer=5)], "content"), "layers 3, 5 at once"),
        (Provenance([replace(one, layer=None)], "content"), "does not say which layer of test_vit"),
        (Provenance([one]), "which tokens it takes: give --tokens"),
        (Provenance([one], "registers"), "no registers tokens"),
    ):
        with pytest.raises(InputError, match=said):
            attach_recorded(sae, provenance, vit)
