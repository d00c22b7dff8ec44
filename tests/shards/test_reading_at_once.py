"""Readers and verification in several threads and processes."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.format.hashing import BLOCK_BYTES, UNITS_FILE
from saev.shards.format.layout import TokenLayout
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.verify import faults

RECORDING = make_recording(7, TokenLayout(cls=True, n_registers=0, grid=(32, 32)), 500, budget=4 * 1025)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> ShardReader:
    """Two shards of two blocks each."""
    return open_shards(record(tmp_path_factory.mktemp("shards"), RECORDING, make_acts(RECORDING)))


def test_threads_that_read_at_once_get_their_own_examples(reader: ShardReader) -> None:
    acts = make_acts(RECORDING)
    spans = [(start, stop) for start in range(7) for stop in range(start + 1, 8)]
    with ThreadPoolExecutor(8) as pool:
        for (start, stop), found in zip(spans, pool.map(lambda span: reader.read(*span), spans), strict=True):
            assert torch.equal(found, acts[start:stop])


def test_a_reader_travels_to_other_processes(reader: ShardReader) -> None:
    """A bound method is what a pool pickles."""
    read = pickle.loads(pickle.dumps(reader.read))
    assert torch.equal(read(2, 6), make_acts(RECORDING)[2:6])


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_verification_gives_the_same_lines_for_any_number_of_threads(tmp_path: Path, threads: int) -> None:
    recording = make_recording()
    directory = record(tmp_path, recording, make_acts(recording))
    (directory / "acts000000.bin").unlink()
    data = bytearray((directory / "acts000001.bin").read_bytes())
    data[3] ^= 1
    (directory / "acts000001.bin").write_bytes(data)
    os.truncate(directory / "acts000002.bin", 1)
    (directory / "examples.jsonl").write_bytes(b"x" * (directory / "examples.jsonl").stat().st_size)
    heard: list[int] = []
    found = faults(directory, lambda done, total: heard.append(total - done), threads)
    assert [fault.removeprefix(f"{directory}/").split(":")[0] for fault in found] == [
        "acts000000.bin", "acts000001.bin", "acts000002.bin", "examples.jsonl"
    ]  # fmt: skip
    assert heard == sorted(heard, reverse=True)
    assert heard[-1] == 0


def test_an_interrupted_verification_stops_at_once(reader: ShardReader) -> None:
    heard: list[int] = []

    def interrupt(done: int, total: int) -> None:
        heard.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        faults(reader.path, interrupt, threads=2)
    assert heard[-1] < 3 * BLOCK_BYTES < RECORDING.layout.total_bytes


def test_without_hashes_bytes_are_read_as_they_are(reader: ShardReader) -> None:
    name = reader.layout.file_name(1)
    files = {name: file for name, file in reader.manifest.files.items() if name != UNITS_FILE}
    other = replace(reader, manifest=replace(reader.manifest, files=files))
    original = (reader.path / name).read_bytes()
    changed = bytes([original[0] ^ 1]) + original[1:]
    (reader.path / name).write_bytes(changed)
    try:
        assert other.read(4, 7).numpy().tobytes() == changed[: 3 * reader.layout.bytes_per_example]
        assert torch.equal(other.read(2, 4), make_acts(RECORDING)[2:4])
        with pytest.raises(InputError, match=r"block 0 .*damaged"):
            reader.read(4, 5)
    finally:
        (reader.path / name).write_bytes(original)
