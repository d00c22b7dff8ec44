"""Many reads in one call give what os.pread gives, whatever the kernel has and whatever comes in between."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.errors import InputError
from saev.shards.reading import read_ring
from saev.shards.reading.open import open_shards
from saev.shards.reading.read_ring import ReadRing, _read_one_by_one, read_all

Run = tuple[int, int, int]  # descriptor, offset, length
ReadAll = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
N_BYTES = 300_000
MARK = 0xAA


def _refusal() -> str:
    try:
        ReadRing()
    except OSError as error:
        return str(error)
    return ""


needs_ring = pytest.mark.skipif(_refusal() != "", reason=f"no io_uring here: {_refusal()}")


@pytest.fixture(autouse=True)
def no_ring_of_other_tests() -> Iterator[None]:
    vars(read_ring._own).clear()
    yield
    vars(read_ring._own).clear()


@pytest.fixture(scope="module")
def fds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """Of three files of random bytes, of an empty one, a directory, one that is only written, and of none."""
    root, random = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    found = []
    for i, n in enumerate((N_BYTES, N_BYTES // 2, 4096, 0)):
        (root / f"{i}").write_bytes(random.bytes(n))
        found.append(os.open(root / f"{i}", os.O_RDONLY))
    found += [os.open(root, os.O_RDONLY), os.open(root / "3", os.O_WRONLY), -1, 2**20 + 7]
    yield found
    for fd in found[:6]:
        os.close(fd)


def do(read: ReadAll, runs: list[Run]) -> list[bytes | int]:
    """What is read of each run, or the number of its error; no byte beside is touched."""
    memory = np.full(sum(length + 8 for _, _, length in runs), MARK, dtype=np.uint8)
    numbers, offsets, lengths = np.array(runs, dtype=np.int64).reshape(-1, 3).T
    places = np.cumsum(lengths + 8) - lengths - 4
    counts = read(numbers, offsets, memory.ctypes.data + places, lengths)
    assert counts.dtype == np.int64
    found: list[bytes | int] = []
    for place, length, n in zip(places.tolist(), lengths.tolist(), counts.tolist(), strict=True):
        found.append(n if n < 0 else memory[place : place + n].tobytes())
        memory[place : place + max(n, 0)] = MARK
        assert n <= length
    assert (memory == MARK).all()
    return found


def expected(runs: list[Run]) -> list[bytes | int]:
    found: list[bytes | int] = []
    for fd, offset, length in runs:
        try:
            found.append(os.pread(fd, length, offset))
        except OSError as error:
            found.append(-(error.errno or 0))
    return found


def random_runs(fds: list[int], n: int, seed: int) -> list[Run]:
    random = np.random.default_rng(seed)
    return [
        (fds[which], offset, length)
        for which, offset, length in zip(
            random.integers(0, 3, n).tolist(),
            random.integers(0, N_BYTES, n).tolist(),
            random.integers(1, 3000, n).tolist(),
            strict=True,
        )
    ]


def n_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def of_ring(*runs: np.ndarray) -> np.ndarray:
    return ReadRing().read(*runs)


every_way = pytest.mark.parametrize(
    "read", [pytest.param(of_ring, marks=needs_ring), _read_one_by_one, read_all], ids=["ring", "one by one", "all"]
)
lengths = st.integers(1, 200) | st.integers(1, N_BYTES)
run_parts = st.tuples(st.integers(0, 7), st.integers(0, N_BYTES + 10), lengths)


@every_way
@given(parts=st.lists(run_parts, max_size=30), times=st.sampled_from([1, 1, 1, 40]))
def test_any_reads_are_those_of_pread(fds: list[int], read: ReadAll, parts: list[Run], times: int) -> None:
    """Past the end of files, too, from what cannot be read, and more of them than a ring has entries."""
    runs = [(fds[which], offset, min(length, 200) if times > 1 else length) for which, offset, length in parts] * times
    assert do(read, runs) == expected(runs)


@every_way
@pytest.mark.parametrize("n", [1, 255, 256, 257, 511, 512, 513, 1500])
def test_more_reads_than_a_ring_has_entries(fds: list[int], read: ReadAll, n: int) -> None:
    runs = random_runs(fds, n, seed=n)
    assert do(read, runs) == expected(runs)


@every_way
def test_bad_descriptors_between_good_ones(fds: list[int], read: ReadAll) -> None:
    """A kernel may stop taking what is queued at each of them."""
    runs = [run for good in random_runs(fds, 400, seed=1) for run in (good, (-1, 0, 5), (fds[5], 0, 5), (fds[4], 0, 5))]
    found = do(read, runs)
    assert found == expected(runs)
    assert found[1:4] == [-errno.EBADF, -errno.EBADF, -errno.EISDIR]


@needs_ring
def test_memory_that_is_not_there_is_an_error(fds: list[int]) -> None:
    one = np.array([1], dtype=np.int64)
    assert of_ring(one * fds[0], one, one * 4096, one * 10).tolist() == [-errno.EFAULT]


def test_reads_of_nothing_are_none(fds: list[int]) -> None:
    one = np.array([1, 1], dtype=np.int64)
    with pytest.raises(AssertionError):
        read_all(one * fds[0], one, one * 4096, one - [0, 1])
    assert "at least 1" in (ReadRing.read.__doc__ or "")


@needs_ring
def test_a_ring_goes_round_and_round(fds: list[int]) -> None:
    ring, random = ReadRing(), np.random.default_rng(2)
    n_done = 0
    for call in range(4000):
        n = int(random.integers(1, 300)) if call % 10 == 0 else int(random.integers(0, 4))
        runs = random_runs(fds, n, seed=call)
        assert do(ring.read, runs) == expected(runs)
        n_done += n
    for word in (ring._head, ring._tail, ring._done_head, ring._done_tail):
        assert int(word[0]) == n_done > 100 * 512


@every_way
def test_several_threads_at_once(fds: list[int], read: ReadAll) -> None:
    def work(seed: int) -> None:
        for call in range(30):
            runs = random_runs(fds, 100, seed=100 * seed + call)
            assert do(read, runs) == expected(runs)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


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
    n_open = n_descriptors()
    assert do(read_all, runs) == expected(runs)
    n_tried = len(tried)
    for _ in range(5):
        assert do(read_all, runs) == expected(runs)
    assert len(tried) == n_tried  # for good
    assert read_ring._own.ring is None
    assert n_descriptors() == n_open


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


@needs_ring
def test_short_submissions_go_on(fds: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    call = ReadRing._call

    def at_most_seven(self: ReadRing, number: int, *arguments: object) -> int:
        if number == 426 and arguments[1].value > 7:  # the kernel doesn't wait then
            fd, _, _, flags, *rest = arguments
            return call(self, number, fd, 7, 0, flags, *rest)
        return call(self, number, *arguments)

    monkeypatch.setattr(ReadRing, "_call", at_most_seven)
    runs = random_runs(fds, 600, seed=0)
    assert do(of_ring, runs) == expected(runs)


@needs_ring
def test_a_thread_takes_its_ring_along(fds: list[int]) -> None:
    def rings() -> int:
        n = 0
        for fd in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):
                n += "io_uring" in str(fd.readlink())
        return n

    runs, within = random_runs(fds, 10, seed=0), []
    do(read_all, runs)
    before, n_open = rings(), n_descriptors()

    def work() -> None:
        assert do(read_all, runs) == expected(runs)
        within.append(rings())

    for _ in range(100):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert set(within) == {2 * before}
    assert rings() == before > 0
    assert n_descriptors() == n_open


@needs_ring
def test_a_child_has_a_ring_of_its_own(fds: list[int], tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(np.random.default_rng(0).bytes(N_BYTES))
    code = """
import os, sys
import numpy as np
from saev.shards.reading import read_ring

def check():
    memory = np.zeros(300 * 100, dtype=np.uint8)
    at = np.arange(300)
    assert (read_ring.read_all(at * 0 + fd, at * 100, memory.ctypes.data + at * 100, at * 0 + 100) == 100).all()
    assert memory.tobytes() == expected

fd = os.open(sys.argv[1], os.O_RDONLY)
expected = os.pread(fd, 30_000, 0)
check()
ring = read_ring._own.ring
words = lambda: [int(word[0]) for word in (ring._head, ring._tail, ring._done_head, ring._done_tail)]
before = words()
for _ in range(5):
    child = os.fork()
    if not child:
        try:
            assert not hasattr(read_ring._own, "ring")
            check()
            assert read_ring._own.ring is not ring and words() == before
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert words() == before
    check()
    before = words()
assert read_ring._own.ring is ring
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path / "data")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
