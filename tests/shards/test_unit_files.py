"""Files of units stay open while they are read, by many threads at once, and not longer."""

import errno
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests.shards.reading_units import (
    RECORDING,
    Read,
    every_way,
    open_below,
    read_all,
    read_alone,
    read_in_batch,
    read_runs,
    stored,
)
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.format.files import OpenFile
from saev.shards.format.layout import TokenLayout
from saev.shards.reading import unit_reads
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader


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


@every_way
def test_a_reader_that_is_forgotten_closes_its_files(reader: ShardReader, read: Read) -> None:
    read(reader.units(), 0, 0, 1, reader.layout.bytes_per_token)
    assert open_below(reader.path) == []


def test_files_that_are_open_when_the_interpreter_ends_say_nothing(reader: ShardReader) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from saev.shards.reading.directory import ShardDirectory
from saev.shards.reading.unit_reads import UnitReads
units = UnitReads(ShardDirectory.open(Path(sys.argv[1])))
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
