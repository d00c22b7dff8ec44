"""What is known of an SAE: written, read, and compared with shards."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import MakeShards

import saev
from saev.artifacts import (
    HeldOut,
    Provenance,
    RecordedLayer,
    TrainingSet,
    differ_in_seed,
    provenance_of,
    read_provenance,
)
from saev.artifacts.comparable import completed_by, held_out_for
from saev.errors import InputError
from saev.nn import TopK

OLD: dict[str, Any] = {  # as version 0.1.0 wrote it
    "trained_on": {
        "image_set": {"n": 3},
        "layer": 10,
        "layout": {"dtype": "float32"},
        "model": {"ckpt": "ViT-B-32/openai", "family": "clip", "precision": "float32", "weights_digest": "ab"},
        "pixel_agg": "majority",
        "preprocessing": {"config": {"size": 224}, "library": "open_clip"},
    },
    "tokens": "content",
    "data": [
        {"content_id": "c0", "held_out": {"n": 2, "seed": 0}},
        {"content_id": "c1", "held_out": {"numbers": [1, 4]}},
    ],
}


def test_what_earlier_versions_wrote_is_written_again_to_the_byte() -> None:
    found = Provenance.from_json(OLD, "here")
    assert json.dumps(found.to_json()) == json.dumps(OLD)
    (layer,) = found.layers
    assert (layer.family, layer.ckpt, layer.weights_digest, layer.layer) == ("clip", "ViT-B-32/openai", "ab", 10)
    assert layer.preprocessing == OLD["trained_on"]["preprocessing"]
    pair = OLD | {"paired_with": [OLD["trained_on"] | {"layer": 11}]}
    assert [one.layer for one in Provenance.from_json(pair, "here").layers] == [10, 11]


@pytest.mark.parametrize("without", [*OLD, "layer", "model", "preprocessing", "family", "weights_digest"])
def test_every_fact_may_be_unknown(without: str) -> None:
    content = deepcopy(OLD)
    for place in (content, content.get("trained_on", {}), content["trained_on"]["model"]):
        place.pop(without, None)
    found = Provenance.from_json(content, "here")
    assert found != Provenance.from_json(OLD, "here")
    assert Provenance.from_json(found.to_json(), "here") == found


def test_what_the_original_did_not_write_down_is_unknown() -> None:
    model = {"family": "clip", "ckpt": "x", "weights_digest": "unknown", "precision": "unknown"}
    config = {"model": model, "layer": -2, "preprocessing": {"library": "unknown"}}
    found = RecordedLayer.from_json(config, "here")
    assert found == RecordedLayer("clip", "x", layer=-2)
    assert found.missing() == ["weights_digest", "preprocessing"]


def test_loading_and_saving_keep_it(tmp_path: Path) -> None:
    known = replace(Provenance.from_json(OLD, "here"), training={"lr": 1e-3, "seed": 1}, source="a tool")
    saev.save(TopK(6, d_sae=12, k=3), tmp_path / "a", known)
    again = saev.load(tmp_path / "a")
    assert provenance_of(again) == known
    saev.save(again.folded(), tmp_path / "b")
    assert read_provenance(tmp_path / "b") == known
    saev.save(again, str(tmp_path / "c"), Provenance())
    assert read_provenance(tmp_path / "c") == Provenance()


def test_a_config_without_about_is_that_of_an_sae_of_which_nothing_is_known(tmp_path: Path) -> None:
    saev.save(TopK(6, d_sae=12, k=3), tmp_path)
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    del content["about"]
    path.write_text(json.dumps(content))
    assert provenance_of(saev.load(tmp_path)) == Provenance()


def test_an_about_of_another_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    saev.save(TopK(6, d_sae=12, k=3), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"about": {"colour": "red"}}))
    with pytest.raises(InputError, match=r"config\.json: about: .*'colour'.*without its \"about\" the SAE can be used"):
        saev.load(tmp_path)


def test_shards_complete_what_an_sae_does_not_say(make_shards: MakeShards, capsys: pytest.CaptureFixture[str]) -> None:
    reader = saev.open_shards(str(make_shards(5, d_model=4)[0]))
    whole = Provenance.of([reader], "content")
    assert completed_by(whole, [reader], "content") == whole
    assert capsys.readouterr().err == ""
    assert completed_by(Provenance(), [reader], "content") == whole
    said = capsys.readouterr().err
    assert said.startswith(
        "the SAE does not say family, ckpt, weights_digest, layer, preprocessing, tokens (content): "
    )
    assert said.endswith(f"taken from {reader.path}\n")
    part = replace(whole, layers=[replace(whole.one_layer, weights_digest=None)])
    assert completed_by(part, [reader]) == whole
    assert capsys.readouterr().err.startswith("the SAE does not say weights_digest: ")


@pytest.mark.parametrize(("fact", "value"), [("family", "siglip"), ("layer", 7), ("preprocessing", {"library": "x"})])
def test_what_an_sae_says_is_compared(make_shards: MakeShards, fact: str, value: object) -> None:
    reader = saev.open_shards(make_shards(5, d_model=4)[0])
    other = Provenance([RecordedLayer(**{fact: value})])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"trained on {fact} .* has .*: give shards of the same ViT"):
        completed_by(other, [reader])
    with pytest.raises(InputError, match=r"trained on cls tokens, --data\.tokens is content"):
        completed_by(Provenance(tokens="cls"), [reader], "content")
    with pytest.raises(InputError, match=r"layer 3 \+ 5, .* gives 3: .*--data\.paired"):
        completed_by(Provenance([RecordedLayer(layer=3), RecordedLayer(layer=5)]), [reader])


def test_images_that_were_held_out_for_all(make_shards: MakeShards) -> None:
    reader = saev.open_shards(make_shards(9, d_model=4)[0])

    def trained(*numbers: int) -> Provenance:
        return Provenance(data=[TrainingSet(reader.manifest.content_id, HeldOut(len(numbers), None, numbers))])

    assert held_out_for([Provenance(), Provenance(data=[TrainingSet("other", HeldOut(1, 0))])], reader) is None
    found = held_out_for([trained(1, 4, 7), Provenance(), trained(2, 4, 7)], reader)
    np.testing.assert_array_equal(found, [4, 7])
    with pytest.raises(InputError, match="1 images held out of 9"):
        held_out_for([trained(9)], reader)


def test_saes_that_differ_in_their_seed_alone() -> None:
    def sae(k: int = 3, **training: Any) -> saev.SparseAutoencoder:
        found = TopK(6, d_sae=12, k=k)
        found.provenance = Provenance(training=training)
        return found

    one = sae(seed=0, lr=0.1)
    assert differ_in_seed(one, sae(seed=1, lr=0.1))
    for other in (one, sae(seed=1, lr=0.2), sae(k=2, seed=1, lr=0.1), sae(lr=0.1), TopK(6, d_sae=12, k=3)):
        assert not differ_in_seed(one, other)
    assert not differ_in_seed(TopK(6, d_sae=12, k=3), TopK(6, d_sae=12, k=3))
