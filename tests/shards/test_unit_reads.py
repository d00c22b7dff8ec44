"""Runs of units are read and verified, by many threads at once, and every fault is told by name."""

import ctypes
import errno
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.original_saev import make_acts as original_acts
from tests.shards.original_saev import write_original
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.format.dtypes import encode
from saev.shards.format.files import OpenFile
from saev.shards.format.hashing import BLOCK_BYTES
from saev.shards.format.layout import DTYPES, TokenLayout
from saev.shards.reading import unit_reads
from saev.shards.reading.open import open_shards
from saev.shards.reading.read_ring import _read_one_by_one
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.unit_reads import UnitReads
from saev.shards.reading.verify import faults

TOKENS = TokenLayout(cls=True, n_registers=11, grid=(8, 8))
RECORDING = make_recording(5, TOKENS, 1000, budget=2 * TOKENS.n_tokens)  # three files, 19 units an example
ADVICE = "run `saev shards verify`, then copy or record it again"


def stored(acts: torch.Tensor, dtype: str = "float32") -> np.ndarray:
    """The bytes of each token, uint8 (n, T, bytes)."""
    return encode(acts, dtype).numpy()


def read_alone(units: UnitReads, example: int, first: int, stop: int, token_bytes: int) -> bytes:
    target = bytearray((units.bounds[stop] - units.bounds[first]) * token_bytes)
    units.read(example, first, stop, memoryview(target))
    return bytes(target)


def read_runs(units: UnitReads, runs: list[tuple[int, int, int]], token_bytes: int) -> bytes:
    """Runs, each an example, a first unit and an end, in one call."""
    n_tokens = sum(units.bounds[stop] - units.bounds[first] for _, first, stop in runs)
    target = np.full((n_tokens, token_bytes), 0xAA, dtype=np.uint8)
    examples, first, stop = np.array(runs, dtype=np.int64).reshape(-1, 3).T
    units.read_many(examples, first, stop, target)
    return target.tobytes()


def read_in_batch(units: UnitReads, example: int, first: int, stop: int, token_bytes: int) -> bytes:
    return read_runs(units, [(example, first, stop)], token_bytes)


def read_without_ring(units: UnitReads, example: int, first: int, stop: int, token_bytes: int) -> bytes:
    with patch.object(unit_reads, "read_all", _read_one_by_one):
        return read_in_batch(units, example, first, stop, token_bytes)


Read = Callable[[UnitReads, int, int, int, int], bytes]
every_way = pytest.mark.parametrize("read", [read_alone, read_in_batch, read_without_ring])


def read_all(read: Read, units: UnitReads, token_bytes: int, n_examples: int) -> None:
    for example in range(n_examples):
        read(units, example, 0, len(units.bounds) - 1, token_bytes)


def fail(*_: object) -> int:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def open_below(directory: Path) -> list[str]:
    """Names of the files of a directory that this process has open."""
    links = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            links.append(fd.readlink())
        except FileNotFoundError:  # the one that lists them
            continue
    return [link.name for link in links if link.parent == directory]


@pytest.fixture
def reader(tmp_path: Path) -> ShardReader:
    return open_shards(record(tmp_path, RECORDING, make_acts(RECORDING)))


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ShardReader]:
    """Of the same activations in each dtype."""
    found = {}
    for dtype in DTYPES:
        recording = make_recording(5, TOKENS, 1000, dtype, budget=2 * TOKENS.n_tokens)
        found[dtype] = open_shards(record(tmp_path_factory.mktemp(dtype), recording, make_acts(recording)))
    return found


def run_of(data: st.DataObject, units: UnitReads) -> tuple[int, int, int]:
    first, stop = sorted(data.draw(st.sets(st.integers(0, len(units.bounds) - 1), min_size=2, max_size=2)))
    return data.draw(st.integers(0, 4)), first, stop


@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
@every_way
def test_any_run_of_units_is_read(readers: dict[str, ShardReader], read: Read, dtype: str, data: st.DataObject) -> None:
    units = readers[dtype].units()
    example, first, stop = run_of(data, units)
    expected = stored(make_acts(RECORDING), dtype)[example, units.bounds[first] : units.bounds[stop]]
    assert read(units, example, first, stop, expected.shape[-1]) == expected.tobytes()
    units.close()


@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_runs_are_read_together(readers: dict[str, ShardReader], dtype: str, data: st.DataObject) -> None:
    units = readers[dtype].units()
    runs = [run_of(data, units) for _ in range(data.draw(st.integers(0, 9)))]
    acts, bounds = stored(make_acts(RECORDING), dtype), units.bounds
    expected = [acts[example, bounds[first] : bounds[stop]].tobytes() for example, first, stop in runs]
    assert read_runs(units, runs, acts.shape[-1]) == b"".join(expected)
    units.close()


@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
def test_runs_that_fail_together_are_read_again_alone(
    readers: dict[str, ShardReader], dtype: str, data: st.DataObject
) -> None:
    """Short counts, errors and wrong bytes that are gone at the second read: right bytes, no fault."""
    units = readers[dtype].units()
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

    acts, bounds = stored(make_acts(RECORDING), dtype), units.bounds
    expected = [acts[example, bounds[first] : bounds[stop]].tobytes() for example, first, stop in runs]
    with patch.object(unit_reads, "read_all", read_badly), patch.object(UnitReads, "read", read_again):
        assert read_runs(units, runs, acts.shape[-1]) == b"".join(expected)
    assert again == [run for run, fault in zip(runs, faulty, strict=False) if fault]
    units.close()


@every_way
def test_a_flipped_bit_in_any_unit_is_found_and_named(reader: ShardReader, read: Read) -> None:
    layout, units, expected = reader.layout, reader.units(), stored(make_acts(RECORDING))
    spans = list(pairwise(units.bounds))
    assert len(spans) == 19
    for example in range(5):
        shard, offset = layout.locate(example)
        path = reader.path / layout.file_name(shard)
        for unit, (start, stop) in enumerate(spans):
            begin, end = (offset + token * layout.bytes_per_token for token in (start, stop))
            flip(path, random.Random(unit).randrange(begin, end))
            place = (
                f"{path}: block 0 (bytes {begin} to {end}, example {example}, tokens {start} to {stop}) is damaged: "
            )
            for first, last in ((unit, unit + 1), (0, 19)):
                with pytest.raises(InputError, match=re.escape(place)) as error:
                    read(units, example, first, last, layout.bytes_per_token)
                assert str(error.value).endswith(ADVICE)
                assert "\n" not in str(error.value)
            for first, last in ((0, unit), (unit + 1, 19)):
                if first < last:
                    whole = expected[example, units.bounds[first] : units.bounds[last]]
                    assert read(units, example, first, last, layout.bytes_per_token) == whole.tobytes()
            path.write_bytes(
                path.read_bytes()[:begin] + expected[example, start:stop].tobytes() + path.read_bytes()[end:]
            )
    read_all(read, units, layout.bytes_per_token, 5)


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


@every_way
def test_a_unit_that_lies_in_two_blocks_names_both(tmp_path: Path, read: Read) -> None:
    recording = make_recording(15, TOKENS, 1000, budget=15 * TOKENS.n_tokens)
    reader = open_shards(record(tmp_path, recording, make_acts(recording)))
    assert reader.layout.bytes_per_shard > BLOCK_BYTES
    flip(reader.path / "acts000000.bin", BLOCK_BYTES - 1)
    with pytest.raises(InputError, match=r"acts000000.bin: blocks 0 to 1 \(bytes 4\d+ to 4\d+, example 13, tokens "):
        read_all(read, reader.units(), reader.layout.bytes_per_token, 15)


@every_way
def test_damaged_hashes_are_told_from_damaged_activations(reader: ShardReader, read: Read) -> None:
    flip(reader.path / "units.xxh3", 8 * (19 * 2 + 3) + 1)
    said = (
        r"units.xxh3: block 0 \(bytes 328 to 336, example 2\) is damaged or of another directory: acts000001.bin fits"
    )
    with pytest.raises(InputError, match=said):
        read_all(read, reader.units(), reader.layout.bytes_per_token, 5)
    (fault,) = faults(reader.path)
    assert fault == f"{reader.path}/units.xxh3: block 0 (bytes 0 to 760) damaged or edited"


@every_way
def test_hashes_of_another_directory_are_told(reader: ShardReader, read: Read, tmp_path: Path) -> None:
    other = record(tmp_path / "other", make_recording(5, TOKENS, 1000, budget=152, layer=3), make_acts(RECORDING, 1))
    shutil.copy(other / "units.xxh3", reader.path / "units.xxh3")
    with pytest.raises(InputError, match=r"units.xxh3: block 0 .*damaged or of another directory"):
        read_all(read, open_shards(reader.path).units(), reader.layout.bytes_per_token, 5)
    assert [fault.split(":")[0] for fault in faults(reader.path)] == [f"{reader.path}/units.xxh3"]


@every_way
def test_hashes_that_are_missing_or_cut_off(reader: ShardReader, read: Read) -> None:
    units = reader.units()
    assert open_below(reader.path) == []
    os.truncate(reader.path / "units.xxh3", 759)
    for open_it in (lambda: open_shards(reader.path), reader.units):
        with pytest.raises(InputError, match=r"units.xxh3: truncated: 759 bytes instead of 760"):
            open_it()
    (reader.path / "units.xxh3").unlink()
    with pytest.raises(InputError, match=r"units.xxh3: is missing"):
        reader.units()
    (fault,) = faults(reader.path)
    assert fault == f"{reader.path}/units.xxh3: is missing"
    assert open_below(reader.path) == []
    # What was open has all hashes in memory, and verifies with them.
    read_all(read, units, reader.layout.bytes_per_token, 5)
    flip(reader.path / "acts000002.bin", 303_999)
    with pytest.raises(
        InputError, match=r"acts000002.bin: block 0 \(bytes 288000 to 304000, example 4, tokens 72 to 76"
    ):
        read_all(read, units, reader.layout.bytes_per_token, 5)


@every_way
def test_files_that_are_missing_or_cut_off_later(reader: ShardReader, read: Read) -> None:
    units, n_bytes = reader.units(), reader.layout.bytes_per_token
    os.truncate(reader.path / "acts000001.bin", 50_000)
    said = r"acts000001.bin: block 0 \(bytes 48000 to 64000, example 2, tokens 12 to 16\) is damaged: .* at byte 50000"
    with pytest.raises(InputError, match=said):
        read(units, 2, 3, 4, n_bytes)
    (reader.path / "acts000002.bin").unlink()
    with pytest.raises(InputError, match=r"acts000002.bin: is missing"):
        read(units, 4, 0, 1, n_bytes)


@pytest.mark.parametrize("read", [read_alone, read_without_ring])
def test_a_failing_disk_is_one_line(reader: ShardReader, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    units = reader.units()
    monkeypatch.setattr(os, "preadv", fail)
    said = r"acts000000.bin: block 0 .*example 1, .* cannot be read \(Input/output error\): run "
    with pytest.raises(InputError, match=said):
        read(units, 1, 0, 1, reader.layout.bytes_per_token)


def test_hashes_on_a_failing_disk_are_one_line(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(InputError, match=r"units.xxh3: cannot be read \(Input/output error\)$"):
        reader.units()
    assert open_below(reader.path) == []


@pytest.mark.parametrize("read", [read_alone, read_without_ring])
def test_reads_that_come_short_go_on(reader: ShardReader, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: preadv(fd, [buffers[0][:9999]], at))
    expected = stored(make_acts(RECORDING))[3].tobytes()
    assert read(reader.units(), 3, 0, 19, reader.layout.bytes_per_token) == expected


def spoil_first(monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    """The first n reads give wrong bytes."""
    preadv, calls = os.preadv, []

    def spoiled(fd: int, buffers: list[memoryview], at: int) -> int:
        got = preadv(fd, buffers, at)
        if len(calls) < n:
            buffers[0][5] ^= 1
        calls.append(at)
        return got

    monkeypatch.setattr(os, "preadv", spoiled)


@pytest.mark.parametrize(("read", "n"), [(read_alone, 1), (read_without_ring, 2)])
def test_a_fault_that_came_and_went_is_of_the_activations(
    reader: ShardReader, read: Read, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = reader.units()
    spoil_first(monkeypatch, n)
    with pytest.raises(InputError, match=r"acts000001.bin: block 0 \(bytes 0 to 16000, example 2, tokens 0 to 4\)"):
        read(units, 2, 0, 1, reader.layout.bytes_per_token)


def test_a_fault_that_is_gone_when_read_alone_is_none(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    units = reader.units()
    spoil_first(monkeypatch, 1)
    expected = stored(make_acts(RECORDING))[2, :4].tobytes()
    assert read_without_ring(units, 2, 0, 1, reader.layout.bytes_per_token) == expected


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


@every_way
def test_an_original_file_that_shrinks_later_is_one_line(tmp_path: Path, read: Read) -> None:
    directory = write_original(tmp_path / "x", original_acts(2, 1, 17, 1000), per_shard=2)
    units = open_shards(directory).units()
    os.truncate(directory / "acts000000.bin", 70_000)
    said = (
        r"acts000000.bin: block 0 \(bytes 68000 to 72000, example 1, tokens 0 to 1\) is damaged: .* ends at byte 70000"
    )
    with pytest.raises(InputError, match=said):
        read(units, 1, 0, 1, 4000)


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShardReader:
    """Twenty files, of which two may stay open."""
    monkeypatch.setattr(unit_reads, "MAX_OPEN_FILES", 2)
    recording = make_recording(20, TokenLayout(True, 0, (3, 3)), 5000, "int8", budget=10)
    reader = open_shards(record(tmp_path, recording, make_acts(recording)))
    assert reader.layout.n_shards == 20
    return reader


@pytest.mark.parametrize(("n_threads", "n_together"), [(8, 1), (3, 3)])
def test_many_threads_and_more_files_than_descriptors(many: ShardReader, n_threads: int, n_together: int) -> None:
    units, expected = many.units(), stored(make_acts(many.manifest.recording), "int8")
    most = []

    def work(seed: int) -> None:
        order = random.Random(seed)
        for step in range(200):
            runs = []
            for example in order.sample(range(20), n_together):
                first, stop = sorted(order.sample(range(len(units.bounds)), 2))
                runs.append((example, first, stop))
            whole = [expected[example, units.bounds[first] : units.bounds[stop]] for example, first, stop in runs]
            token_bytes = many.layout.bytes_per_token
            if n_together == 1 and step % 3:
                found = read_alone(units, *runs[0], token_bytes)
            else:
                found = read_runs(units, runs, token_bytes)
            assert found == b"".join(part.tobytes() for part in whole)
            most.append(len(open_below(many.path)))

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, range(n_threads)))
    # Beside the two that stay: what each thread is reading and about to open.
    assert max(most) <= 2 + (n_together + 1) * n_threads
    assert len(open_below(many.path)) == 2
    units.close()
    assert open_below(many.path) == []


@every_way
def test_the_files_read_last_stay_open(many: ShardReader, read: Read) -> None:
    units, n_bytes = many.units(), many.layout.bytes_per_token
    assert open_below(many.path) == []
    for example in (0, 1, 0, 2):
        read(units, example, 0, 1, n_bytes)
    assert sorted(open_below(many.path)) == ["acts000000.bin", "acts000002.bin"]
    read(units, 1, 0, 1, n_bytes)
    assert sorted(open_below(many.path)) == ["acts000001.bin", "acts000002.bin"]
    units.close()


def test_more_files_in_one_call_than_may_stay_open(many: ShardReader) -> None:
    units, expected = many.units(), stored(make_acts(many.manifest.recording), "int8")
    runs = [(example, 1, 3) for example in [*range(20), *reversed(range(20))]]
    whole = [expected[example, units.bounds[1] : units.bounds[3]].tobytes() for example, _, _ in runs]
    assert read_runs(units, runs, many.layout.bytes_per_token) == b"".join(whole)
    assert len(open_below(many.path)) == 2
    units.close()
    assert open_below(many.path) == []


def test_files_of_a_call_are_closed_after_it(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    units, read_them, still = reader.units(), unit_reads.read_all, []

    def close_meanwhile(*runs: np.ndarray) -> np.ndarray:
        units.close()
        still.extend(open_below(reader.path))
        return read_them(*runs)

    monkeypatch.setattr(unit_reads, "read_all", close_meanwhile)
    assert read_in_batch(units, 0, 0, 19, 4000) == stored(make_acts(RECORDING))[0].tobytes()
    assert still == ["acts000000.bin"]
    assert open_below(reader.path) == []


@every_way
def test_nothing_is_read_after_the_end(reader: ShardReader, read: Read) -> None:
    units = reader.units()
    read(units, 0, 0, 1, reader.layout.bytes_per_token)
    assert open_below(reader.path) == ["acts000000.bin"]
    units.close()
    units.close()
    assert open_below(reader.path) == []
    with pytest.raises(AssertionError, match="closed"):
        read(units, 0, 0, 1, reader.layout.bytes_per_token)


def test_nothing_is_read_into_memory_that_does_not_fit(reader: ShardReader) -> None:
    units, one = reader.units(), np.array([1])
    spaced, fixed = np.empty((4000, 8), dtype=np.uint8)[:, ::2], np.empty(16_000, dtype=np.uint8)
    fixed.flags.writeable = False
    for target in (np.empty(15_999, dtype=np.uint8), np.empty(16_001, dtype=np.uint8), spaced, fixed):
        with pytest.raises(AssertionError):
            units.read_many(one, one, one + 1, target)
    with pytest.raises(AssertionError):
        units.read_many(one, one, one, np.empty(0, dtype=np.uint8))


@every_way
def test_a_reader_that_is_forgotten_closes_its_files(reader: ShardReader, read: Read) -> None:
    read(reader.units(), 0, 0, 1, reader.layout.bytes_per_token)
    assert open_below(reader.path) == []


def test_files_that_are_open_when_the_interpreter_ends_say_nothing(reader: ShardReader) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
reader = open_shards(Path(sys.argv[1]))
units = reader.units()
units.read(0, 0, 1, memoryview(bytearray(units.bounds[1] * 4000)))
one = np.array([1])
units.read_many(one, one, one + 1, np.empty(16_000, dtype=np.uint8))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(reader.path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@every_way
def test_advice_that_is_not_taken_is_no_fault(reader: ShardReader, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    units = reader.units()
    read_all(read, units, reader.layout.bytes_per_token, 5)


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("none", "inner", "../x"):
        with pytest.raises(InputError):
            OpenFile(tmp_path, name)
    assert open_below(tmp_path) == []


def test_reads_wait_for_the_disk(reader: ShardReader) -> None:
    """With O_NONBLOCK, which opening needs, io_uring of some kernels gives up instead."""
    file = OpenFile(reader.path, "acts000000.bin")
    assert os.get_blocking(file.fd)
