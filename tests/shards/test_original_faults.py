"""What is no directory of the original saev, or a damaged one, is refused in one line."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.original_saev import exploded, make_acts, write_original
from tests.shards.small_recordings import make_acts as our_acts
from tests.shards.small_recordings import make_recording, record

from saev.errors import InputError
from saev.shards.reading.open import open_shards
from saev.shards.reading.original import parse_original_metadata
from saev.shards.reading.verify import faults


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Three layers of seven images in three files, the last with one image."""
    return write_original(tmp_path / "saev" / "shards" / "abcdef01", make_acts(), layers=[2, 5, 11])


def edit(**changes: object) -> Callable[[Path], object]:
    """Change values in metadata.json; None takes the key out."""

    def change(directory: Path) -> None:
        path = directory / "metadata.json"
        merged = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))

    return change


def relist(change: Callable[[list[Any]], object]) -> Callable[[Path], object]:
    """Change the list in shards.json in place."""

    def do(directory: Path) -> None:
        path = directory / "shards.json"
        rows = json.loads(path.read_text())
        change(rows)
        path.write_text(json.dumps(rows))

    return do


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "an extra key": (edit(extra=1), r"unknown keys \['extra'\]"),
    "a missing key": (edit(pixel_agg=None), r"missing keys \['pixel_agg'\]"),
    "a text for a number": (edit(d_model="4"), "'d_model' must be an integer of at least 1, found '4'"),
    "no examples": (edit(n_examples=0), "'n_examples' must be an integer of at least 1"),
    "a number for a switch": (edit(cls_token=1), "'cls_token' must be true or false, found 1"),
    "a list for the pickle": (edit(data=["x"]), r"'data' must be a string, found \['x'\]"),
    "another aggregation": (edit(pixel_agg="mean"), "'pixel_agg' must be one of majority, prefer-fg"),
    "another dtype": (edit(dtype="bfloat16"), "dtype 'bfloat16' cannot be read, of the original saev only 'float32'"),
    "another protocol": (edit(protocol="2.2"), "protocol '2.2' cannot be read, of the original saev only 1.0.0, 1.1"),
    "a protocol that is no text": (edit(protocol=[2]), r"protocol \[2\] cannot be read"),
    "keys of two versions": (edit(vit_family="clip"), r"missing keys \['d_vit', .*unknown keys \['ckpt'"),
    "no layers": (edit(layers=[]), r"layers \[\] must be one or more numbers, each once"),
    "a layer twice": (edit(layers=[2, 5, 5]), r"layers \[2, 5, 5\] must be one or more numbers, each once"),
    "layers that are no numbers": (edit(layers=[2, True, "5"]), "'layers' must be a list of 3 integers"),
    "layers from both ends": (edit(layers=[2, 5, -2]), r"layers \[2, 5, -2\] count from both ends of a model"),
    "layers in disorder": (edit(layers=[5, 2, 11]), r"layers \[5, 2, 11\] do not ascend, but .*: sort them there"),
    "no room for an example": (edit(max_tokens_per_shard=14), "14 tokens a shard are less than one example of 3 x 5"),
    "more shards than names": (edit(n_examples=2**52), "shards are more than 1000000"),
    "more examples": (edit(n_examples=10), "shards.json: lists 3 shards, the 10 examples of metadata.json take 4"),
    "one example more": (edit(n_examples=8), "'acts000002.bin' with 1 examples where metadata.json says .* with 2"),
    "wider": (edit(d_model=5), r"acts000000.bin: truncated: 720 bytes instead of 900"),
    "fewer layers": (edit(layers=[2, 5]), r"shards.json: lists 3 shards, the 7 examples .* take 2"),
    "no list of shards": (lambda d: (d / "shards.json").unlink(), "shards.json: (cannot be read|is missing)"),
    "a huge list of shards": (lambda d: (d / "shards.json").write_bytes(b" " * 9999), "the 1280 .*allowed"),
    "a list that is none": (lambda d: (d / "shards.json").write_text("{}"), r"expected a list, found \{\}"),
    "a row with another key": (relist(lambda rows: rows[0].update(x=1)), r"shards.json: unknown"),
    "a name outside": (relist(lambda rows: rows[0].update(name="../x")), r"lists '../x' with 3 examples where"),
    "names in disorder": (relist(lambda rows: rows.reverse()), "lists 'acts000002.bin' with 1 examples where"),
    "an empty shard too early": (relist(lambda rows: rows.append({"name": "acts000003.bin", "n_examples": 0})),
                                 "lists 4 shards, the 7 examples of metadata.json take 3"),
    "a truncated file": (lambda d: os.truncate(d / "acts000002.bin", 719), "truncated: 719 bytes instead of 720"),
    "a file too long": (lambda d: os.truncate(d / "acts000002.bin", 721), "too long: 721 bytes instead of 720"),
    "a missing file": (lambda d: (d / "acts000001.bin").unlink(), "acts000001.bin: is missing"),
    "labels of other sizes": (lambda d: (d / "labels.bin").write_bytes(b"x"), "truncated: 1 bytes instead of 28"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_odd_is_refused_in_one_line(name: str, original: Path) -> None:
    damage, said = DAMAGE[name]
    damage(original)
    with pytest.raises(InputError, match=said) as error:
        open_shards(original, 5)
    assert "\n" not in str(error.value)
    assert str(original) in str(error.value)
    found = faults(original)
    assert re.search(said, found[0])
    assert all("acts" in fault for fault in found[1:])
    assert not exploded(original).exists()


DAMAGE_OF_THE_OLDEST: dict[str, tuple[Callable[[Path], object], str]] = {
    "an extra key": (edit(extra=1), r"unknown keys \['extra'\]"),
    "a missing key": (edit(d_vit=None), r"missing keys \['d_vit'\]"),
    "a text for a number": (edit(n_imgs="7"), "'n_imgs' must be an integer of at least 1, found '7'"),
    "a key of today": (edit(n_imgs=None, n_examples=7), r"missing keys \['n_imgs'\], unknown keys \['n_examples'\]"),
    "another dtype": (edit(dtype="float16"), "dtype 'float16' cannot be read"),
    "layers in disorder": (edit(layers=[-1, -2, -3]), r"layers \[-1, -2, -3\] do not ascend"),
    "no room for an image": (edit(n_patches_per_shard=14), "14 tokens a shard are less than one example of 3 x 5"),
    "more images": (edit(n_imgs=10), "acts000003.bin: is missing"),
    "fewer images": (edit(n_imgs=3), "acts000002.bin: a stray file .*the 3 examples of metadata.json take 1 of 3"),
    "wider": (edit(d_vit=5), "acts000000.bin: truncated: 720 bytes instead of 900"),
    "narrower": (edit(d_vit=3), "acts000000.bin: too long: 720 bytes instead of 540"),
    "no CLS token": (edit(cls_token=False), "acts000000.bin: too long: 720 bytes instead of 576"),
    "a truncated file": (lambda d: os.truncate(d / "acts000002.bin", 719), "truncated: 719 bytes instead of 720"),
    "a missing file": (lambda d: (d / "acts000001.bin").unlink(), "acts000001.bin: is missing"),
    "a file too many": (lambda d: (d / "acts000003.bin").write_bytes(b""), "acts000003.bin: a stray file"),
    "a wrong list": (lambda d: (d / "shards.json").write_text("[]"), "shards.json: lists 0 shards, the 7 examples"),
}


@pytest.mark.parametrize("name", DAMAGE_OF_THE_OLDEST)
def test_what_is_odd_in_the_oldest_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    damage, said = DAMAGE_OF_THE_OLDEST[name]
    original = write_original(tmp_path / "abcdef01", make_acts(), layers=[-3, -2, -1], oldest=True)
    damage(original)
    with pytest.raises(InputError, match=said) as error:
        open_shards(original, -2)
    assert "\n" not in str(error.value)
    assert re.search(said, "\n".join(faults(original)))


@pytest.mark.parametrize("spelling", ["vit", "model"])
@pytest.mark.parametrize("spare", [False, True])
def test_the_oldest_has_a_spare_file_or_not(spelling: str, spare: bool, tmp_path: Path) -> None:
    acts = make_acts(6)
    changes: dict[str, object] = {"model_family": "clip", "model_ckpt": "x"} if spelling == "model" else {}
    original = write_original(
        tmp_path / "x", acts, layers=[-3, -2, -1], oldest=True, empty_shard=spare,
        without=("vit_family", "vit_ckpt") if changes else (), **changes,
    )  # fmt: skip
    assert len(list(original.glob("acts*"))) == 2 + spare
    assert faults(original) == []
    reader = open_shards(original, -2)
    assert np.array_equal(reader.read(0, 6).numpy(), acts[:, 1])
    assert reader.recording.model["ckpt"] == changes.get("model_ckpt", "ViT-B-32/openai")
    if spare:
        os.truncate(original / "acts000002.bin", 10)
        assert "truncated: 10 bytes instead of 720" in faults(original)[0]


def test_what_came_between_has_the_keys_of_the_oldest_and_a_list(tmp_path: Path) -> None:
    acts = make_acts()
    original = write_original(
        tmp_path / "x", acts, oldest=True, without=("seed", "n_patches_per_shard"), max_patches_per_shard=45,
        dtype="float32", protocol="1.0.0",
    )  # fmt: skip
    with pytest.raises(InputError, match=r"shards\.json: is missing"):
        open_shards(original, 1)
    rows = [{"name": f"acts{shard:06d}.bin", "n_imgs": n} for shard, n in enumerate((3, 3, 1))]
    (original / "shards.json").write_text(json.dumps(rows))
    assert np.array_equal(open_shards(original, 1).read(0, 7).numpy(), acts[:, 1])


def test_an_unlisted_file_is_a_fault(original: Path) -> None:
    (original / "acts000003.bin").write_bytes(b"")
    assert faults(original) == [
        f"{original / 'acts000003.bin'}: a stray file of activations that shards.json does not list: move it away"
    ]


@pytest.mark.parametrize("family", ["clip", "timm"])
def test_a_recording_of_ours_without_its_manifest_is_not_taken_for_an_original(tmp_path: Path, family: str) -> None:
    recording = make_recording(family=family)
    directory = record(tmp_path, recording, our_acts(recording))
    directory.chmod(0o755)
    (directory / "manifest.json").unlink()
    said = "metadata.json: a recording of this saev whose manifest.json is missing: copy it again"
    with pytest.raises(InputError, match=said):
        open_shards(directory)
    assert len(faults(directory)) == 1
    assert said in faults(directory)[0]


json_values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@given(
    st.sampled_from(["family", "layers", "d_model", "n_examples", "cls_token", "data", "dtype", "extra"]), json_values
)
def test_one_random_value_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    path = tmp_path_factory.mktemp("original") / "x"
    good = json.loads((write_original(path, make_acts(1, 1, 2, 1)) / "metadata.json").read_text())
    shutil.rmtree(path)
    try:
        found, _ = parse_original_metadata(json.dumps(good | {key: value}).encode(), "here")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        stored = getattr(found, key)
        assert (list(stored) if key == "layers" else stored) == value
