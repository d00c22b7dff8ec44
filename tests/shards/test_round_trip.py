import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.original_saev import read_labels_like_the_original, read_like_the_original
from tests.shards.small_recordings import (
    TORCH_DTYPES,
    contents,
    make_acts,
    make_examples,
    make_labels,
    make_recording,
    record,
)

from saev.shards.format.layout import TokenLayout
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.verify import faults
from saev.shards.writing.partial import PartialRecording

REGISTERS = TokenLayout(cls=True, n_registers=4, grid=(1, 3))


@pytest.mark.parametrize("dtype", TORCH_DTYPES)
@pytest.mark.parametrize("tokens", [TokenLayout(False, 0, (3, 2)), REGISTERS], ids=["plain", "registers"])
def test_what_is_written_is_read_back_bit_for_bit(tmp_path: Path, dtype: str, tokens: TokenLayout) -> None:
    recording = make_recording(tokens=tokens, dtype=dtype)
    acts = make_acts(recording)
    acts[0, 0, :3] = torch.tensor([-0.0, 1e-30, 65504.0])
    reader = open_shards(record(tmp_path, recording, acts))
    expected = acts.to(TORCH_DTYPES[dtype])
    found = reader.read(0, reader.n_examples)
    assert found.dtype == expected.dtype
    assert torch.equal(found.view(torch.uint8), expected.view(torch.uint8))
    assert reader.layout == recording.layout
    assert reader.examples() == make_examples(11)
    assert reader.patch_labels() is None
    assert faults(reader.path) == []


@given(st.integers(0, 11), st.integers(0, 11))
def test_any_run_of_examples_can_be_read(reader: ShardReader, a: int, b: int) -> None:
    start, stop = sorted((a, b))
    assert torch.equal(reader.read(start, stop), make_acts(make_recording())[start:stop])


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    recording = make_recording()
    return open_shards(record(tmp_path_factory.mktemp("shards"), recording, make_acts(recording)))


def test_batch_sizes_leave_no_trace(tmp_path: Path) -> None:
    recording = make_recording()
    acts, labels = make_acts(recording), make_labels(recording)
    found = [contents(record(tmp_path / str(b), recording, acts, b, labels)) for b in (1, 3, 4, 11)]
    assert found[1:] == found[:1] * 3
    assert recording.layout.n_shards == 3


def test_protocol_2_1_can_be_read_by_the_original(tmp_path: Path) -> None:
    recording = make_recording()
    acts, labels = make_acts(recording), make_labels(recording)
    directory = record(tmp_path / "saev" / "shards", recording, acts, labels=labels)
    meta, found = read_like_the_original(directory)
    assert np.array_equal(found[:, 0], acts.numpy())
    assert np.array_equal(read_labels_like_the_original(directory), labels.numpy())
    assert meta == {
        "family": "clip",
        "ckpt": "ViT/tag",
        "layers": [10],
        "content_tokens_per_example": 6,
        "cls_token": True,
        "d_model": 5,
        "n_examples": 11,
        "max_tokens_per_shard": 28,
        "data": '{"args":{"root":"/here"},"class":"ImageFolder"}',
        "dataset": "/here",
        "pixel_agg": "majority",
        "dtype": "float32",
        "protocol": "2.1",
    }


@pytest.mark.parametrize(
    ("dtype", "tokens", "family"),
    [("bfloat16", TokenLayout(True, 0, (2, 3)), "clip"), ("float32", REGISTERS, "dinov2"),
     ("float32", TokenLayout(True, 0, (2, 3)), "timm")],
)  # fmt: skip
def test_what_the_original_cannot_read_is_protocol_3(
    tmp_path: Path, dtype: str, tokens: TokenLayout, family: str
) -> None:
    recording = make_recording(dtype=dtype, tokens=tokens, family=family)
    reader = open_shards(record(tmp_path, recording, make_acts(recording)))
    assert reader.metadata.protocol == "3.0"
    assert reader.layout.tokens == tokens


def test_labels_are_read_back(tmp_path: Path) -> None:
    recording = make_recording()
    labels = make_labels(recording)
    found = open_shards(record(tmp_path, recording, make_acts(recording), labels=labels)).patch_labels()
    assert found is not None
    assert np.array_equal(found, labels.numpy())


def test_manifest_holds_the_hash_of_every_other_file(tmp_path: Path) -> None:
    recording = make_recording()
    directory = record(tmp_path, recording, make_acts(recording), labels=make_labels(recording))
    files = json.loads((directory / "manifest.json").read_text())["files"]
    expected = {name: data for name, data in contents(directory).items() if name != "manifest.json"}
    assert {n: f["sha256"] for n, f in files.items()} == {
        n: hashlib.sha256(data).hexdigest() for n, data in expected.items()
    }
    assert {n: f["bytes"] for n, f in files.items()} == {n: len(data) for n, data in expected.items()}


def test_a_finished_recording_is_found_again(tmp_path: Path) -> None:
    recording = make_recording()
    assert PartialRecording(tmp_path, recording).finished() is None
    directory = record(tmp_path, recording, make_acts(recording))
    assert PartialRecording(tmp_path, make_recording(source="/elsewhere")).finished() == directory
    assert PartialRecording(tmp_path, make_recording(layer=9)).finished() is None
    assert sorted(tmp_path.iterdir()) == [directory]


def test_strided_activations_are_stored_in_order(tmp_path: Path) -> None:
    recording = make_recording()
    acts = make_acts(recording)
    strided = acts.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(open_shards(record(tmp_path, recording, strided)).read(0, 11), acts)
