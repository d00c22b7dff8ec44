"""Whatever stands in the descriptions, opening ends in a reader or in one line, and verify in lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.small_recordings import make_acts, make_labels, make_recording, record

from saev.errors import InputError
from saev.shards.format.strict_json import canonical_digest
from saev.shards.reading.describe import describe
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.verify import faults

pytestmark = pytest.mark.slow

DESCRIPTIONS = ("metadata.json", "manifest.json", "shards.json")

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars | st.sampled_from([0, -1, 2**31, 2**53, 2**64, "../x", "acts000000.bin", "\x1b[2J"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recording = make_recording()
    root = tmp_path_factory.mktemp("shards")
    return record(root, recording, make_acts(recording), labels=make_labels(recording))


def use_all(directory: Path) -> None:
    reader = open_shards(directory)
    reader.examples()
    reader.patch_labels()
    reader.read(0, reader.n_examples)
    read_units(reader)
    assert "\x1b" not in describe(directory)


def read_units(reader: ShardReader) -> None:
    units, layout = reader.units(), reader.layout
    target = memoryview(bytearray(layout.bytes_per_example))
    for example in range(layout.n_examples):
        units.read(example, 0, len(units.bounds) - 1, target)
    every, n_units = np.arange(layout.n_examples), len(units.bounds) - 1
    together = np.empty(layout.n_examples * layout.bytes_per_example, dtype=np.uint8)
    units.read_many(every, np.zeros_like(every), np.full_like(every, n_units), together)
    units.close()


def check(directory: Path, name: str, data: bytes, *, seen: bool) -> None:
    """Open and verify a directory with other bytes in one file, a change that has to be `seen` by verify, or not."""
    path = directory / name
    original = path.read_bytes()
    path.write_bytes(data)
    try:
        try:
            use_all(directory)
        except InputError as error:
            assert "\n" not in str(error)
            assert len(str(error)) < 2000
        found = faults(directory)
        assert all("\n" not in fault and str(directory) in fault for fault in found)
        if seen:
            assert bool(found) == (data != original)
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("name", DESCRIPTIONS)
@given(data=st.binary(max_size=200))
def test_random_bytes(shards: Path, name: str, data: bytes) -> None:
    check(shards, name, data, seen=True)


@pytest.mark.parametrize("name", [*DESCRIPTIONS, "examples.jsonl", "labels.bin", "units.xxh3"])
@given(data=st.data())
def test_other_bytes_in_a_valid_file(shards: Path, name: str, data: st.DataObject) -> None:
    original = (shards / name).read_bytes()
    start = data.draw(st.integers(0, len(original)))
    stop = data.draw(st.integers(start, min(len(original), start + 20)))
    check(shards, name, original[:start] + data.draw(st.binary(max_size=20)) + original[stop:], seen=True)


def places(value: object) -> Iterator[tuple[Any, Any]]:
    """All containers inside a JSON value, each with the keys of its members."""
    members = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, inner in members:
        yield value, key
        yield from places(inner)


def mutate(value: Any, data: st.DataObject) -> None:
    """One member somewhere inside is replaced, removed or doubled under another name."""
    container, key = data.draw(st.sampled_from(list(places(value))))
    action = data.draw(st.sampled_from(["replace", "remove", "double"]))
    if action == "replace":
        container[key] = data.draw(values)
    elif action == "remove":
        del container[key]
    elif isinstance(container, dict):
        container[data.draw(st.text(max_size=8))] = container[key]
    else:
        container.append(container[key])


@pytest.mark.parametrize("name", DESCRIPTIONS)
@given(data=st.data())
def test_mutated_json(shards: Path, name: str, data: st.DataObject) -> None:
    original = (shards / name).read_bytes()
    value = json.loads(original)
    for _ in range(data.draw(st.integers(1, 3))):
        mutate(value, data)
    check(shards, name, json.dumps(value).encode(), seen=value != json.loads(original))


@given(data=st.data())
def test_mutated_manifests_with_fitting_digests(shards: Path, data: st.DataObject) -> None:
    value = json.loads((shards / "manifest.json").read_bytes())
    mutate(value, data)
    if "config" in value:
        value["content_id"] = canonical_digest(value["config"])
    value["digest"] = canonical_digest({key: item for key, item in value.items() if key != "digest"})
    check(shards, "manifest.json", json.dumps(value).encode() + b"\n", seen=False)
