"""Signals, refusals of the kernel and what comes in between break no read."""

import errno
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.shards.read_ring.reads import (
    ReadAll,
    do,
    every_way,
    expected,
    n_rings,
    needs_ring,
    random_runs,
)
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.reading import read_ring
from saev.shards.reading.open import open_shards
from saev.shards.reading.read_ring import ReadRing, read_all


@pytest.fixture
def alarms() -> Iterator[list[int]]:
    """Signals come every half millisecond; their numbers."""
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: heard.append(number))
    signal.setitimer(signal.ITIMER_REAL, 5e-4, 5e-4)
    yield heard
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@every_way
def test_signals_break_nothing(fds: list[int], read: ReadAll, alarms: list[int]) -> None:
    call = 0
    while len(alarms) < 100:
        for fd in fds[:3]:  # so that some of the reads have to wait
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        runs = random_runs(fds, 300, seed=call)
        assert do(read, runs) == expected(runs)
        call += 1


class SlowPipe:
    """Gives its bytes so late that a signal comes first: io_uring reads pipes, too."""

    def __init__(self, seconds: float) -> None:
        self.fd, self._end = os.pipe()
        self._timer = threading.Timer(seconds, os.write, (self._end, b"late bytes"))
        self._timer.start()

    def close(self) -> None:
        self._timer.join()
        os.close(self.fd)
        os.close(self._end)


@pytest.fixture
def pipe() -> Iterator[SlowPipe]:
    late = SlowPipe(0.3)
    yield late
    late.close()


def read_pipe(pipe: SlowPipe, read: ReadAll, memory: np.ndarray) -> list[int]:
    one = np.array([1], dtype=np.int64)
    return read(one * pipe.fd, -one, one * memory.ctypes.data, one * memory.nbytes).tolist()


@needs_ring
def test_a_wait_that_signals_interrupt_goes_on(pipe: SlowPipe, alarms: list[int]) -> None:
    memory = np.zeros(10, dtype=np.uint8)
    assert read_pipe(pipe, ReadRing().read, memory) == [10]
    assert memory.tobytes() == b"late bytes"
    assert len(alarms) > 10


@needs_ring
def test_nothing_is_under_way_after_a_handler_has_raised(pipe: SlowPipe, fds: list[int]) -> None:
    """The memory may be gone then."""
    memory = np.zeros(10, dtype=np.uint8)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            read_pipe(pipe, read_all, memory)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert memory.tobytes() == b"late bytes"
    assert read_ring._own.ring is None
    runs = random_runs(fds, 300, seed=0)
    assert do(read_all, runs) == expected(runs)


@needs_ring
def test_a_handler_that_reads_has_no_part_in_the_ring(pipe: SlowPipe, fds: list[int]) -> None:
    memory, runs, found = np.zeros(10, dtype=np.uint8), random_runs(fds, 300, seed=0), []
    before = signal.signal(signal.SIGALRM, lambda *_: found.append(do(read_all, runs)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert read_pipe(pipe, read_all, memory) == [10]
    finally:
        signal.signal(signal.SIGALRM, before)
    assert found == [expected(runs)]
    assert memory.tobytes() == b"late bytes"
    assert isinstance(read_ring._own.ring, ReadRing)


def refuse(*_: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def without(monkeypatch: pytest.MonkeyPatch, how: str) -> list[int]:
    """Make the kernel refuse; the numbers of the system calls that were tried."""
    tried: list[int] = []
    call = ReadRing._call

    def watched(self: ReadRing, number: int, *arguments: object) -> int:
        tried.append(number)
        if how in ("EPERM", "ENOSYS", "EAGAIN") and number == 426:
            code = getattr(errno, how)
            raise OSError(code, os.strerror(code))
        return call(self, number, *arguments)

    monkeypatch.setattr(ReadRing, "_call", watched)
    if how == "no setup":
        monkeypatch.setattr(ReadRing, "__init__", refuse)
        monkeypatch.setattr(ReadRing, "__del__", lambda _: None)
    elif how == "old":
        monkeypatch.setattr(read_ring, "_FEATURES", 1 << 31)
    elif how == "no such read":
        monkeypatch.setattr(read_ring, "_READ", 250)
    return tried


REFUSALS = ["no setup", "old", "no such read", "EPERM", "ENOSYS", "EAGAIN"]


@needs_ring
@pytest.mark.parametrize("how", REFUSALS)
def test_where_the_kernel_refuses_reads_go_one_by_one(
    fds: list[int], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = without(monkeypatch, how)
    runs = random_runs(fds, 300, seed=0)
    n_open = n_rings()
    assert do(read_all, runs) == expected(runs)
    n_tried = len(tried)
    for _ in range(5):
        assert do(read_all, runs) == expected(runs)
    assert len(tried) == n_tried  # for good
    assert read_ring._own.ring is None
    assert n_rings() == n_open


@needs_ring
@pytest.mark.parametrize("how", REFUSALS)
def test_units_verify_where_the_kernel_refuses(tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, how)
    recording = make_recording(d_model=1000)
    acts = make_acts(recording)
    reader = open_shards(record(tmp_path, recording, acts))
    units = reader.units()
    n, n_units, token_bytes = reader.n_examples, len(units.bounds) - 1, reader.layout.bytes_per_token
    found = np.zeros((n * recording.layout.tokens.n_tokens, token_bytes), dtype=np.uint8)
    every = np.arange(n)
    units.read_many(every, 0 * every, 0 * every + n_units, found)
    assert found.tobytes() == acts.numpy().tobytes()
    with (reader.path / "acts000001.bin").open("r+b") as file:
        file.write(b"\xff\xff\xff")
    with pytest.raises(InputError, match=r"acts000001.bin: block 0 .* is damaged"):
        units.read_many(every, 0 * every, 0 * every + n_units, found)


@needs_ring
def test_a_kernel_that_stops_in_the_midst_is_waited_for(
    pipe: SlowPipe, fds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a read and fails afterwards: that read still writes to the caller's memory."""
    call, calls = ReadRing._call, []

    def failing(self: ReadRing, number: int, *arguments: object) -> int:
        calls.append(number)
        if calls.count(426) == 2:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        if calls.count(426) == 1 and number == 426:  # submit, don't wait
            arguments = (*arguments[:2], 0, 0, *arguments[4:])
        return call(self, number, *arguments)

    monkeypatch.setattr(ReadRing, "_call", failing)
    memory = np.zeros(10, dtype=np.uint8)
    with pytest.raises(OSError, match="busy"):
        read_pipe(pipe, ReadRing().read, memory)
    assert memory.tobytes() == b"late bytes"
