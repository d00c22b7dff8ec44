"""Directories of the original saev are read in place."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.original_saev import exploded, make_acts, write_original
from tests.shards.small_recordings import make_acts as our_acts
from tests.shards.small_recordings import make_recording, record

from saev.cli.shards import main
from saev.errors import InputError
from saev.shards.reading.open import open_shards
from saev.shards.reading.verify import faults

Capture = pytest.CaptureFixture[str]
LAYERS = [2, 5, 11]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """Three layers of seven images in three files, the last with one image."""
    return write_original(tmp_path / "saev" / "shards" / "abcdef01", make_acts(), layers=LAYERS)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[tuple[int, int, int, int], dict[str, Any]]:
    """Examples, layers, tokens and width, and the options of a directory."""
    sizes = {"n_examples": (1, 9), "n_layers": (1, 4), "n_content": (1, 6), "d_model": (1, 5)}
    n, n_layers, n_content, d_model = (draw(st.integers(*size), label=name) for name, size in sizes.items())
    cls, per_shard = draw(st.booleans(), label="cls"), draw(st.integers(1, 10), label="per_shard")
    n_tokens = n_content + cls
    return (n, n_layers, n_tokens, d_model), {
        "cls": cls,
        "per_shard": per_shard,
        "spare_tokens": draw(st.integers(0, n_layers * n_tokens - 1), label="spare"),
        "empty_shard": n % per_shard == 0 and draw(st.booleans(), label="empty"),
        "layers": draw(st.sampled_from([[*range(3, 3 + n_layers)], [*range(-n_layers, 0)]]), label="layers"),
        "oldest": draw(st.booleans(), label="oldest"),
    }


@given(shapes(), st.data())
def test_every_run_of_examples_of_every_layer_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[tuple[int, int, int, int], dict[str, Any]],
    data: st.DataObject,
) -> None:
    sizes, options = shape
    acts = make_acts(*sizes)
    directory = write_original(tmp_path_factory.mktemp("original") / "x", acts, **options)
    start = data.draw(st.integers(0, sizes[0]))
    stop = data.draw(st.integers(start, sizes[0]))
    for place, layer in enumerate(options["layers"]):
        reader = open_shards(directory, layer)
        assert np.array_equal(reader.read(start, stop).numpy(), acts[start:stop, place])
        assert reader.manifest.recording.layer == layer
        assert reader.layout.tokens.cls is options["cls"]
        assert len(reader.examples()) == sizes[0]
    assert faults(directory) == []
    shutil.rmtree(directory)


def test_other_layers_are_not_read(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, touched = open_shards(original, 5), []
    preadv = os.preadv

    def watched(fd: int, buffers: list[memoryview], offset: int) -> int:
        touched.append((offset, sum(map(len, buffers))))
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", watched)
    reader.read(1, 4)
    size = 5 * 4 * 4
    # The middle one of three layers: examples 1 and 2 of the first file, example 0 of the second.
    assert touched == [(4 * size, size), (7 * size, size), (size, size)]


def test_reads_that_come_short_go_on(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: preadv(fd, [buffers[0][:7]], at))
    assert np.array_equal(open_shards(original, 2).read(0, 7).numpy(), make_acts()[:, 0])


def test_a_file_that_shrinks_later_is_one_line(original: Path) -> None:
    reader = open_shards(original, 11)
    os.truncate(original / "acts000001.bin", 500)
    with pytest.raises(InputError, match=r"acts000001.bin: ends before byte 720: copy it again"):
        reader.read(0, 7)
    (original / "acts000000.bin").unlink()
    with pytest.raises(InputError, match=r"acts000000.bin: is missing"):
        reader.read(0, 7)


@pytest.mark.parametrize(("n_content", "grid"), [(4, (2, 2)), (196, (14, 14)), (5, (1, 5)), (1, (1, 1))])
def test_square_grids_are_inferred(tmp_path: Path, n_content: int, grid: tuple[int, int]) -> None:
    directory = write_original(tmp_path / "x", make_acts(2, 1, n_content + 1))
    assert open_shards(directory).layout.tokens.grid == grid


@pytest.mark.parametrize(("without", "protocol"), [(("protocol",), "unstated"), (("dtype", "protocol"), "unstated")])
def test_dtype_and_protocol_may_be_missing(tmp_path: Path, without: tuple[str, ...], protocol: str) -> None:
    reader = open_shards(write_original(tmp_path / "x", make_acts(n_layers=1), without=without))
    assert np.array_equal(reader.read(0, 7).numpy(), make_acts(n_layers=1)[:, 0])
    assert reader.metadata.protocol == protocol


@pytest.mark.parametrize("protocol", ["1.0.0", "1.1", "2.1"])
def test_protocols_of_the_same_keys_are_read(tmp_path: Path, protocol: str) -> None:
    reader = open_shards(write_original(tmp_path / "x", make_acts(n_layers=1), protocol=protocol))
    assert reader.read(6, 7).shape == (1, 5, 4)


def test_patch_labels_are_the_stored_bytes(tmp_path: Path) -> None:
    labels = np.arange(256 - 28, 256).astype(np.uint8).reshape(7, 4)
    found = open_shards(write_original(tmp_path / "x", make_acts(), labels=labels), 1).patch_labels()
    assert found is not None
    assert np.array_equal(found, labels)


def test_each_layer_has_an_identity_of_its_own(original: Path, tmp_path: Path) -> None:
    ids = [open_shards(original, layer).manifest.content_id for layer in LAYERS]
    moved = shutil.copytree(original, tmp_path / "elsewhere")
    assert ids == [open_shards(moved, layer).manifest.content_id for layer in LAYERS]
    assert len(set(ids)) == 3
    other = write_original(tmp_path / "other", make_acts(), layers=LAYERS, dataset="/other/pictures")
    assert open_shards(other, 2).manifest.content_id not in ids


def test_the_layer_must_be_one_of_the_directory(original: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"abcdef01: holds the layers 2, 5, 11: choose one of them as layer"):
        open_shards(original)
    with pytest.raises(InputError, match=r"abcdef01: has no layer 3: choose from 2, 5, 11"):
        open_shards(original, 3)
    recording = make_recording()
    ours = record(tmp_path / "ours", recording, our_acts(recording))
    assert torch.equal(open_shards(ours, 10).read(0, 11), our_acts(recording))
    with pytest.raises(InputError, match="holds layer 10, not layer 5: give shards of layer 5"):
        open_shards(ours, 5)


def test_info_says_what_is_there(original: Path, capsys: Capture) -> None:
    assert main(["info", str(original)]) == 0
    out = capsys.readouterr().out
    for said in (
        "clip ViT-B-32/openai",
        "2, 5, 11 (outputs of these blocks",
        "5 = 1 CLS + 4 patches (2 x 2)",
        "7 (35 tokens a layer)",
        "2.16 kB in 3 files",
        "2.1, written by the original saev, without checksums",
        "in a pickle or in Python code, which is not opened",
    ):
        assert said in out
    assert not exploded(original).exists()


def test_verify_checks_sizes_and_says_that_there_are_no_checksums(original: Path, capsys: Capture) -> None:
    assert main(["verify", str(original)]) == 0
    assert re.fullmatch(
        rf"OK {original}: sizes .* no checksums, so contents were not checked\n", capsys.readouterr().out
    )
    os.truncate(original / "acts000000.bin", 3)
    (original / "acts000001.bin").unlink()
    assert main(["verify", str(original)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{original / 'acts000000.bin'}: truncated: 3 bytes instead of 720",
        f"{original / 'acts000001.bin'}: is missing",
    ]
