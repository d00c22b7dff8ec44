"""Runs of units are read and verified, by many threads at once, and every fault is told by name."""

import errno
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.original_saev import make_acts as original_acts
from tests.shards.original_saev import write_original
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.format.blocks import BLOCK_BYTES
from saev.shards.format.layout import DTYPES, TokenLayout
from saev.shards.format.quantization import encode
from saev.shards.reading import unit_reads
from saev.shards.reading.open_files import OpenFile
from saev.shards.reading.reader import ShardReader
from saev.shards.reading.unit_reads import UnitReads
from saev.shards.reading.verify import faults

TOKENS = TokenLayout(cls=True, n_registers=11, grid=(8, 8))
RECORDING = make_recording(5, TOKENS, 1000, budget=2 * TOKENS.n_tokens)  # three files, ten units an example
ADVICE = "run `saev shards verify`, then copy or record it again"


def stored(acts: torch.Tensor, dtype: str = "float32") -> np.ndarray:
    """The bytes of each token, uint8 (n, T, bytes)."""
    return encode(acts, dtype).numpy()


def read(units: UnitReads, example: int, first: int, stop: int, token_bytes: int) -> bytes:
    target = bytearray((units.bounds[stop] - units.bounds[first]) * token_bytes)
    units.read(example, first, stop, memoryview(target))
    return bytes(target)


def read_all(units: UnitReads, layout_bytes: int, n_examples: int) -> None:
    for example in range(n_examples):
        read(units, example, 0, len(units.bounds) - 1, layout_bytes)


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
    return ShardReader(record(tmp_path, RECORDING, make_acts(RECORDING)))


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ShardReader]:
    """Of the same activations in each dtype."""
    found = {}
    for dtype in DTYPES:
        recording = make_recording(5, TOKENS, 1000, dtype, budget=2 * TOKENS.n_tokens)
        found[dtype] = ShardReader(record(tmp_path_factory.mktemp(dtype), recording, make_acts(recording)))
    return found


@given(data=st.data())
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_run_of_units_is_read(readers: dict[str, ShardReader], dtype: str, data: st.DataObject) -> None:
    units = readers[dtype].units()
    example = data.draw(st.integers(0, 4))
    first, stop = sorted(data.draw(st.sets(st.integers(0, len(units.bounds) - 1), min_size=2, max_size=2)))
    expected = stored(make_acts(RECORDING), dtype)[example, units.bounds[first] : units.bounds[stop]]
    units.prefetch(example, first, stop)
    assert read(units, example, first, stop, expected.shape[-1]) == expected.tobytes()
    units.close()


def test_a_flipped_bit_in_any_unit_is_found_and_named(reader: ShardReader) -> None:
    layout, units, expected = reader.layout, reader.units(), stored(make_acts(RECORDING))
    spans = list(pairwise(units.bounds))
    assert len(spans) == 10
    for example in range(5):
        shard, offset = layout.locate(example)
        path = reader.path / layout.file_name(shard)
        for unit, (start, stop) in enumerate(spans):
            begin, end = (offset + token * layout.bytes_per_token for token in (start, stop))
            flip(path, random.Random(unit).randrange(begin, end))
            place = (
                f"{path}: block 0 (bytes {begin} to {end}, example {example}, tokens {start} to {stop}) is damaged: "
            )
            for first, last in ((unit, unit + 1), (0, 10)):
                with pytest.raises(InputError, match=re.escape(place)) as error:
                    read(units, example, first, last, layout.bytes_per_token)
                assert str(error.value).endswith(ADVICE)
                assert "\n" not in str(error.value)
            for first, last in ((0, unit), (unit + 1, 10)):
                if first < last:
                    whole = expected[example, units.bounds[first] : units.bounds[last]]
                    assert read(units, example, first, last, layout.bytes_per_token) == whole.tobytes()
            path.write_bytes(
                path.read_bytes()[:begin] + expected[example, start:stop].tobytes() + path.read_bytes()[end:]
            )
    read_all(units, layout.bytes_per_token, 5)


def test_a_unit_that_lies_in_two_blocks_names_both(tmp_path: Path) -> None:
    recording = make_recording(15, TOKENS, 1000, budget=15 * TOKENS.n_tokens)
    reader = ShardReader(record(tmp_path, recording, make_acts(recording)))
    assert reader.layout.bytes_per_shard > BLOCK_BYTES
    flip(reader.path / "acts000000.bin", BLOCK_BYTES - 1)
    with pytest.raises(InputError, match=r"acts000000.bin: blocks 0 to 1 \(bytes 4\d+ to 4\d+, example 13, tokens "):
        read_all(reader.units(), reader.layout.bytes_per_token, 15)


def test_damaged_hashes_are_told_from_damaged_activations(reader: ShardReader) -> None:
    flip(reader.path / "units.xxh3", 8 * (10 * 2 + 3) + 1)
    said = (
        r"units.xxh3: block 0 \(bytes 184 to 192, example 2\) is damaged or of another directory: acts000001.bin fits"
    )
    with pytest.raises(InputError, match=said):
        read_all(reader.units(), reader.layout.bytes_per_token, 5)
    (fault,) = faults(reader.path)
    assert fault == f"{reader.path}/units.xxh3: block 0 (bytes 0 to 400) damaged or edited"


def test_hashes_of_another_directory_are_told(reader: ShardReader, tmp_path: Path) -> None:
    other = record(tmp_path / "other", make_recording(5, TOKENS, 1000, budget=152, layer=3), make_acts(RECORDING, 1))
    shutil.copy(other / "units.xxh3", reader.path / "units.xxh3")
    with pytest.raises(InputError, match=r"units.xxh3: block 0 .*damaged or of another directory"):
        read_all(ShardReader(reader.path).units(), reader.layout.bytes_per_token, 5)
    assert [fault.split(":")[0] for fault in faults(reader.path)] == [f"{reader.path}/units.xxh3"]


def test_hashes_that_are_missing_or_cut_off(reader: ShardReader) -> None:
    units = reader.units()
    os.truncate(reader.path / "units.xxh3", 399)
    with pytest.raises(InputError, match=r"units.xxh3: truncated: 399 bytes instead of 400"):
        ShardReader(reader.path)
    with pytest.raises(InputError, match=r"units.xxh3: block 0 .*example 4\) is damaged: the file is truncated"):
        read_all(units, reader.layout.bytes_per_token, 5)
    (reader.path / "units.xxh3").unlink()
    with pytest.raises(InputError, match=r"units.xxh3: is missing"):
        reader.units()
    (fault,) = faults(reader.path)
    assert fault == f"{reader.path}/units.xxh3: is missing"


def test_files_that_are_missing_or_cut_off_later(reader: ShardReader) -> None:
    units, n_bytes = reader.units(), reader.layout.bytes_per_token
    os.truncate(reader.path / "acts000001.bin", 50_000)
    said = r"acts000001.bin: block 0 \(bytes 48000 to 80000, example 2, tokens 12 to 20\) is damaged: .* at byte 50000"
    with pytest.raises(InputError, match=said):
        read(units, 2, 2, 3, n_bytes)
    (reader.path / "acts000002.bin").unlink()
    units.prefetch(4, 0, 1)
    with pytest.raises(InputError, match=r"acts000002.bin: is missing"):
        read(units, 4, 0, 1, n_bytes)


@pytest.mark.parametrize(("call", "name"), [("preadv", "acts000000.bin"), ("pread", "units.xxh3")])
def test_a_failing_disk_is_one_line(reader: ShardReader, call: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    units = reader.units()
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(InputError, match=rf"{name}: block 0 .*example 1.* cannot be read \(Input/output error\): run "):
        read(units, 1, 0, 1, reader.layout.bytes_per_token)


def test_reads_that_come_short_go_on(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, at: preadv(fd, [buffers[0][:9999]], at))
    expected = stored(make_acts(RECORDING))[3].tobytes()
    assert read(reader.units(), 3, 0, 10, reader.layout.bytes_per_token) == expected


def test_a_fault_that_came_and_went_is_of_the_activations(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv, calls = os.preadv, []

    def once(fd: int, buffers: list[memoryview], at: int) -> int:
        n = preadv(fd, buffers, at)
        if not calls:
            buffers[0][5] ^= 1
        calls.append(at)
        return n

    units = reader.units()
    monkeypatch.setattr(os, "preadv", once)
    with pytest.raises(InputError, match=r"acts000001.bin: block 0 \(bytes 0 to 24000, example 2, tokens 0 to 6\)"):
        read(units, 2, 0, 1, reader.layout.bytes_per_token)


@pytest.mark.parametrize("n_layers", [1, 3])
def test_the_original_saevs_directories_are_read(tmp_path: Path, n_layers: int) -> None:
    acts_nltd = original_acts(7, n_layers, 17, 1000)
    directory = write_original(tmp_path / "x", acts_nltd, layers=[2, 5, 11][:n_layers])
    for place, layer in enumerate([2, 5, 11][:n_layers]):
        units = ShardReader(directory, layer).units()
        assert units.bounds == (0, 1, 9, 17)
        for example in range(7):
            for first, stop in [(0, 1), (1, 2), (1, 3), (0, 3)]:
                units.prefetch(example, first, stop)
                expected = acts_nltd[example, place, units.bounds[first] : units.bounds[stop]]
                assert read(units, example, first, stop, 4000) == expected.tobytes()
        units.close()


def test_an_original_file_that_shrinks_later_is_one_line(tmp_path: Path) -> None:
    directory = write_original(tmp_path / "x", original_acts(2, 1, 17, 1000), per_shard=2)
    units = ShardReader(directory).units()
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
    reader = ShardReader(record(tmp_path, recording, make_acts(recording)))
    assert reader.layout.n_shards == 20
    return reader


def test_many_threads_and_more_files_than_descriptors(many: ShardReader) -> None:
    units, expected = many.units(), stored(make_acts(many.manifest.recording), "int8")
    n_threads, most = 8, []

    def work(seed: int) -> None:
        order = random.Random(seed)
        for step in range(200):
            example = order.randrange(20)
            first, stop = sorted(order.sample(range(len(units.bounds)), 2))
            if step % 3 == 0:
                units.prefetch(order.randrange(20), 0, 1)
            whole = expected[example, units.bounds[first] : units.bounds[stop]]
            assert read(units, example, first, stop, many.layout.bytes_per_token) == whole.tobytes()
            most.append(len(open_below(many.path)))

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(work, range(n_threads)))
    # Beside the two that stay: the hashes, and what each thread is reading and about to open.
    assert max(most) <= 2 + 1 + 2 * n_threads
    assert len(open_below(many.path)) == 3
    units.close()
    assert open_below(many.path) == []


def test_the_files_read_last_stay_open(many: ShardReader) -> None:
    units, n_bytes = many.units(), many.layout.bytes_per_token
    for example in (0, 1, 0, 2):
        read(units, example, 0, 1, n_bytes)
    assert sorted(open_below(many.path)) == ["acts000000.bin", "acts000002.bin", "units.xxh3"]
    read(units, 1, 0, 1, n_bytes)
    assert sorted(open_below(many.path)) == ["acts000001.bin", "acts000002.bin", "units.xxh3"]
    units.close()


def test_nothing_is_read_after_the_end(reader: ShardReader) -> None:
    units = reader.units()
    read(units, 0, 0, 1, reader.layout.bytes_per_token)
    assert len(open_below(reader.path)) == 2
    units.close()
    units.close()
    assert open_below(reader.path) == []
    units.prefetch(0, 0, 1)
    with pytest.raises(AssertionError, match="closed"):
        read(units, 0, 0, 1, reader.layout.bytes_per_token)


def test_a_reader_that_is_forgotten_closes_its_files(reader: ShardReader) -> None:
    read(reader.units(), 0, 0, 1, reader.layout.bytes_per_token)
    assert open_below(reader.path) == []


def test_files_that_are_open_when_the_interpreter_ends_say_nothing(reader: ShardReader) -> None:
    code = """
import sys
from pathlib import Path
from saev.shards.reading.reader import ShardReader
reader = ShardReader(Path(sys.argv[1]))
units = reader.units()
units.read(0, 0, 1, memoryview(bytearray(units.bounds[1] * 4000)))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(reader.path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.fixture
def advice(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """What the kernel is asked to read: first bytes and ends."""
    heard: list[tuple[int, int]] = []
    advise = os.posix_fadvise

    def watched(fd: int, offset: int, n_bytes: int, kind: int) -> None:
        if kind == os.POSIX_FADV_WILLNEED:
            heard.append((offset, offset + n_bytes))
        advise(fd, offset, n_bytes, kind)

    monkeypatch.setattr(os, "posix_fadvise", watched)
    return heard


def test_all_bytes_are_asked_for_in_pieces_that_the_kernel_takes(
    reader: ShardReader, advice: list[tuple[int, int]]
) -> None:
    units = reader.units()
    assert advice == [(0, 400)]
    units.prefetch(3, 1, 9)
    start, stop = (304_000 + units.bounds[unit] * 4000 for unit in (1, 9))
    assert advice[1][0] == start
    assert advice[-1][1] == stop
    assert all(before[1] == after[0] for before, after in pairwise(advice[1:]))
    assert all(end - begin <= 2**17 for begin, end in advice)


def test_advice_that_is_not_taken_is_no_fault(reader: ShardReader, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    units = reader.units()
    units.prefetch(0, 0, 10)
    read_all(units, reader.layout.bytes_per_token, 5)


def test_what_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    for name in ("none", "inner", "../x"):
        with pytest.raises(InputError):
            OpenFile(tmp_path, name)
    assert open_below(tmp_path) == []
