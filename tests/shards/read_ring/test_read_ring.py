"""Many reads in one call give what os.pread gives."""

import errno
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shards.read_ring.reads import (
    N_BYTES,
    ReadAll,
    Run,
    do,
    every_way,
    expected,
    n_rings,
    needs_ring,
    of_ring,
    random_runs,
)

from saev.shards.reading.read_ring import ReadRing, read_all

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
    for call in range(1500):
        n = int(random.integers(1, 300)) if call % 10 == 0 else int(random.integers(0, 4))
        runs = random_runs(fds, n, seed=call)
        assert do(ring.read, runs) == expected(runs)
        n_done += n
    for word in (ring._head, ring._tail, ring._done_head, ring._done_tail):
        assert int(word[0]) == n_done > 40 * 512


@every_way
def test_several_threads_at_once(fds: list[int], read: ReadAll) -> None:
    def work(seed: int) -> None:
        for call in range(30):
            runs = random_runs(fds, 100, seed=100 * seed + call)
            assert do(read, runs) == expected(runs)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))


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
    runs, within = random_runs(fds, 10, seed=0), []
    do(read_all, runs)
    before = n_rings()

    def work() -> None:
        assert do(read_all, runs) == expected(runs)
        within.append(n_rings())

    for _ in range(100):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert set(within) == {2 * before}
    assert n_rings() == before > 0


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
