"""Descriptions on disk are read as untrusted."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.small_recordings import make_acts, make_examples, make_recording, record

from saev.errors import InputError
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.manifest import Manifest
from saev.shards.format.metadata import MAX_METADATA_BYTES, Metadata
from saev.shards.format.recording import Recording
from saev.shards.format.strict_json import canonical_digest
from saev.shards.reading.describe import describe
from saev.shards.reading.directory import ShardDirectory

RECORDING = make_recording()
METADATA = json.loads(Metadata.of(RECORDING).dump())

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(values | st.fixed_dictionaries({}, optional=dict.fromkeys(METADATA, values)))
def test_random_json_is_refused_cleanly(value: object) -> None:
    data = json.dumps(value).encode()
    for parse in (Metadata.parse, Manifest.parse, ExampleRecord.from_line):
        with pytest.raises(InputError) as error:
            parse(data, "here")
        assert "\n" not in str(error.value)


@given(st.binary(max_size=50))
def test_random_bytes_are_refused_cleanly(data: bytes) -> None:
    for parse in (Metadata.parse, Manifest.parse, ExampleRecord.from_line):
        with pytest.raises(InputError):
            parse(data, "here")


@given(st.sampled_from(sorted(METADATA)), values)
def test_one_random_value_in_metadata_is_taken_or_refused(key: str, value: object) -> None:
    data = json.dumps({**METADATA, key: value}).encode()
    try:
        found = Metadata.parse(data, "here")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert json.loads(found.dump()) == {**METADATA, key: value}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = record(tmp_path_factory.mktemp("shards"), RECORDING, make_acts(RECORDING))
    return json.loads((directory / "manifest.json").read_text())


def signed(manifest: dict[str, Any]) -> bytes:
    """The bytes of an edited manifest with a fitting digest, as a forger would write it."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return json.dumps({**rest, "digest": canonical_digest(rest)}).encode()


@given(st.data())
def test_one_random_value_in_a_signed_manifest_is_taken_or_refused(
    manifest: dict[str, Any], data: st.DataObject
) -> None:
    finite = values.filter(lambda v: "NaN" not in json.dumps(v) and "Infinity" not in json.dumps(v))
    edited = json.loads(json.dumps(manifest))
    target = edited
    for _ in range(data.draw(st.integers(0, 3))):
        inner = [v for v in target.values() if isinstance(v, dict) and v]
        if inner:
            target = data.draw(st.sampled_from(inner))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(finite)
    try:
        Manifest.parse(signed(edited), "here")
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.update(schema=1), "schema '1' cannot be read, only 2: another version of saev .*: record again"),
        (lambda m: m.update(extra=1), r"unknown keys \['extra'\]"),
        (lambda m: m["config"].update(layer=3), "content_id is not the hash of its config"),
        (lambda m: m["files"].update({"../evil": m["files"]["shards.json"]}), "here: file labels.bin is not listed"),
        (lambda m: m["files"]["acts000000.bin"].update(bytes=4), "has 4 bytes, the layout says"),
        (lambda m: m["files"].pop("units.xxh3"), "6 files for 3 shards"),
        (lambda m: m["files"]["units.xxh3"].update(bytes=8), "units.xxh3 has 8 bytes, the layout says 176"),
        (lambda m: m["files"]["acts000000.bin"].update(xxh3_64=[]), "0 block hashes"),
        (lambda m: m["files"]["acts000000.bin"].update(sha256="x"), "no hex digits"),
        (lambda m: m["config"]["layout"].update(n_examples=2**52), "here: config: layout: .* more than 1000000"),
        (lambda m: m["config"]["layout"].update(d_model=2**52), "bytes of activations are more than 9007199254740991"),
        (lambda m: m["config"].update(model={}), "here: config: model: 'family' must be a string"),
    ],
)
def test_forged_manifests_are_refused(manifest: dict[str, Any], edit: Any, message: str) -> None:
    forged = json.loads(json.dumps(manifest))
    edit(forged)
    with pytest.raises(InputError, match=message):
        Manifest.parse(signed(forged), "here")


def test_an_edited_manifest_is_refused(manifest: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="damaged or edited"):
        Manifest.parse(json.dumps({**manifest, "dataset": "/other"}).encode(), "here")


@pytest.mark.parametrize(
    "text",
    ['{"protocol": "2.1", "protocol": "3.0"}', "[" * 100_000, '{"a": NaN}', '{"a": 1e999}', "1" * 5000],
)
def test_treacherous_json_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        Metadata.parse(text.encode(), "here")


def test_huge_metadata_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_bytes(b" " * (MAX_METADATA_BYTES + 1))
    with pytest.raises(InputError, match="1048577 bytes are more than the 1048576 allowed"):
        ShardDirectory.open(tmp_path)


def test_examples_survive_their_line() -> None:
    for example in make_examples(3):
        assert ExampleRecord.from_line(example.to_line().encode(), "here") == example


@given(st.text(), st.none() | st.text())
def test_any_name_and_label_survive(path: str, label: str | None) -> None:
    example = ExampleRecord(path, label, 1, 2, 3, "00")
    line = example.to_line()
    assert line.count("\n") == 1
    assert ExampleRecord.from_line(line.encode("ascii"), "here") == example


def vary(**changes: Any) -> Recording:
    fields = {**vars(make_recording()), **changes}
    fields.pop("content_id", None)
    return Recording(**fields)


def test_the_content_id_covers_the_configuration_and_no_machine() -> None:
    same = [vary(name="other"), vary(source={}), vary(dataset="/x")]
    assert {r.content_id for r in same} == {RECORDING.content_id}
    assert RECORDING.directory_name == f"vit-layer10-{RECORDING.content_id[:12]}"
    tokens = TokenLayout(True, 0, (3, 2))
    others = [
        vary(model={**RECORDING.model, "weights_digest": "00"}),
        vary(layer=9),
        vary(preprocessing={}),
        vary(image_set={}),
        vary(pixel_agg="prefer-fg"),
        vary(layout=ShardLayout.balanced(11, tokens, 5, "float32", 28)),
        vary(layout=ShardLayout.balanced(11, RECORDING.layout.tokens, 5, "bfloat16", 28)),
        vary(layout=ShardLayout.balanced(11, RECORDING.layout.tokens, 5, "float32", 100)),
    ]
    assert len({r.content_id for r in [RECORDING, *others]}) == len(others) + 1
    # A number that must not change: finished recordings are found by it.
    assert RECORDING.content_id == "9a135527f09d32419d37869722051713be7789c7ce2d8952f776543c8ba6a431"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../evil"}, "name '../evil' must be letters"),
        ({"pixel_agg": "mean"}, "'mean' must be one of majority, prefer-fg"),
        ({"model": {"family": "clip"}}, "model: 'ckpt' must be a string, found None"),
        ({"preprocessing": {"mean": float("nan")}}, "not storable as JSON"),
        ({"image_set": {"root": Path("x")}}, "not storable as JSON"),
    ],
)
def test_recordings_that_cannot_be_stored_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        vary(**changes)


def test_a_layer_that_counts_from_the_end_is_not_written() -> None:
    with pytest.raises(InputError, match="layer -1 must not be negative"):
        Metadata.of(vary(layer=-1))


def test_source_with_number_keys_can_be_read_again(tmp_path: Path) -> None:
    recording = vary(source={"names": {2: "a", 10: "b"}, "sizes": (1, 2)})
    opened = ShardDirectory.open(record(tmp_path, recording, make_acts(recording)))
    assert opened.manifest.recording.source == {"names": {"2": "a", "10": "b"}, "sizes": [1, 2]}


def test_summary_tells_what_was_recorded(tmp_path: Path) -> None:
    tokens = TokenLayout(cls=True, n_registers=4, grid=(2, 3))
    recording = make_recording(tokens=tokens, family="dinov2")
    text = describe(record(tmp_path, recording, make_acts(recording)))
    for fact in (
        recording.content_id,
        "dinov2 ViT/tag, forward pass in float32",
        "10 (output of this block",
        "11 = 1 CLS + 4 registers + 6 patches (2 x 3)",
        "11 (121 tokens)",
        "2.64 kB in 6 files",
        '"root":"/here"',
        "2 classes",
        "3.0, written by saev",
    ):
        assert fact in text
