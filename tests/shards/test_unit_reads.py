"""Runs of units are read and verified, whatever way they are asked for."""

import ctypes
import errno
import os
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.original_saev import make_acts as original_acts
from tests.shards.original_saev import write_original
from tests.shards.reading_units import (
    RECORDING,
    TOKENS,
    Read,
    every_way,
    read_alone,
    read_runs,
    read_without_ring,
    stored,
)
from tests.shards.small_recordings import flip, make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.format.layout import DTYPES
from saev.shards.reading import unit_reads
from saev.shards.reading.open import open_shards
from saev.shards.reading.read_ring import _read_one_by_one
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.unit_reads import UnitReads

Opened = dict[str, tuple[UnitReads, np.ndarray]]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """The same activations in each dtype, and their stored bytes."""
    found = {}
    for dtype in DTYPES:
        recording = make_recording(5, TOKENS, 1000, dtype, budget=2 * TOKENS.n_tokens)
        directory = record(tmp_path_factory.mktemp(dtype), recording, make_acts(recording))
        found[dtype] = open_shards(directory).units(), stored(make_acts(recording), dtype)
    return found


def run_of(data: st.DataObject, units: UnitReads) -> tuple[int, int, int]:
    first, stop = sorted(data.draw(st.sets(st.integers(0, len(units.bounds) - 1), min_size=2, max_size=2)))
    return data.draw(st.integers(0, 4)), first, stop


@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
@every_way
def test_any_run_of_units_is_read(opened: Opened, read: Read, dtype: str, data: st.DataObject) -> None:
    units, acts = opened[dtype]
    example, first, stop = run_of(data, units)
    expected = acts[example, units.bounds[first] : units.bounds[stop]]
    assert read(units, example, first, stop, expected.shape[-1]) == expected.tobytes()


@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_runs_are_read_together(opened: Opened, dtype: str, data: st.DataObject) -> None:
    units, acts = opened[dtype]
    runs = [run_of(data, units) for _ in range(data.draw(st.integers(0, 9)))]
    bounds = units.bounds
    expected = [acts[example, bounds[first] : bounds[stop]].tobytes() for example, first, stop in runs]
    assert read_runs(units, runs, acts.shape[-1]) == b"".join(expected)


@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
def test_runs_that_fail_together_are_read_again_alone(opened: Opened, dtype: str, data: st.DataObject) -> None:
    """Short counts, errors and wrong bytes that are gone at the second read: right bytes, no fault."""
    units, acts = opened[dtype]
    runs = [run_of(data, units) for _ in range(data.draw(st.integers(1, 5)))]
    faulty = data.draw(st.lists(st.sampled_from(["", "short", "error", "wrong"]), min_size=5, max_size=5))
    again = []
    alone = UnitReads.read

    def read_badly(fds: np.ndarray, offsets: np.ndarray, addresses: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        found = _read_one_by_one(fds, offsets, addresses, lengths)
        for i, address in enumerate(addresses.tolist()):
            memory = np.ctypeslib.as_array((ctypes.c_uint8 * int(lengths[i])).from_address(address))
            if faulty[i]:
                memory[-7] ^= 4
            found[i] = {"short": found[i] - 7, "error": -errno.EINTR}.get(faulty[i], found[i])
        return found

    def read_again(self: UnitReads, example: int, first: int, stop: int, target: memoryview) -> None:
        again.append((example, first, stop))
        alone(self, example, first, stop, target)

    bounds = units.bounds
    expected = [acts[example, bounds[first] : bounds[stop]].tobytes() for example, first, stop in runs]
    with patch.object(unit_reads, "read_all", read_badly), patch.object(UnitReads, "read", read_again):
        assert read_runs(units, runs, acts.shape[-1]) == b"".join(expected)
    assert again == [run for run, fault in zip(runs, faulty, strict=False) if fault]


@every_way
@pytest.mark.parametrize("n_layers", [1, 3])
def test_the_original_saevs_directories_are_read(tmp_path: Path, read: Read, n_layers: int) -> None:
    acts_nltd = original_acts(7, n_layers, 17, 1000)
    directory = write_original(tmp_path / "x", acts_nltd, layers=[2, 5, 11][:n_layers])
    for place, layer in enumerate([2, 5, 11][:n_layers]):
        units = open_shards(directory, layer).units()
        assert units.bounds == (0, 1, 5, 9, 13, 17)
        for example in range(7):
            for first, stop in [(0, 1), (1, 2), (1, 3), (2, 5), (0, 5)]:
                expected = acts_nltd[example, place, units.bounds[first] : units.bounds[stop]]
                assert read(units, example, first, stop, 4000) == expected.tobytes()
        units.close()


def test_one_bad_run_of_many_is_named(reader: ShardReader) -> None:
    """And those beside it are right, as long as nobody asks for it."""
    layout, units, expected = reader.layout, reader.units(), stored(make_acts(RECORDING))
    for bad in ("wrong", "short"):
        path = reader.path / layout.file_name(1)
        if bad == "wrong":
            flip(path, 304_000 + 4000 * units.bounds[7] + 2)
        else:
            os.truncate(path, 304_000 + 4000 * units.bounds[7] + 2)
        fine = [(example, first, first + 2) for example in (0, 4, 1) for first in range(0, 18, 2)]
        fine += [(2, 0, 19), (3, 0, 7)]
        acts = [expected[example, units.bounds[first] : units.bounds[stop]].tobytes() for example, first, stop in fine]
        assert read_runs(units, fine, 4000) == b"".join(acts)
        said = r"acts000001.bin: block 0 \(bytes 416000 to 432000, example 3, tokens 28 to 32\) is damaged: "
        for place in (0, 11, len(fine)):
            with pytest.raises(InputError, match=said):
                read_runs(units, [*fine[:place], (3, 7, 8), *fine[place:]], 4000)


def test_nothing_is_read_into_memory_that_does_not_fit(reader: ShardReader) -> None:
    units, one = reader.units(), np.array([1])
    spaced, fixed = np.empty((4000, 8), dtype=np.uint8)[:, ::2], np.empty(16_000, dtype=np.uint8)
    fixed.flags.writeable = False
    for target in (np.empty(15_999, dtype=np.uint8), np.empty(16_001, dtype=np.uint8), spaced, fixed):
        with pytest.raises(AssertionError):
            units.read_many(one, one, one + 1, target)
    with pytest.raises(AssertionError):
        units.read_many(one, one, one, np.empty(0, dtype=np.uint8))


@pytest.mark.parametrize("read", [read_alone, read_without_ring])
def test_reads_that_come_short_go_on(reader: ShardReader, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: preadv(fd, [buffers[0][:9999]], at))
    expected = stored(make_acts(RECORDING))[3].tobytes()
    assert read(reader.units(), 3, 0, 19, reader.layout.bytes_per_token) == expected
