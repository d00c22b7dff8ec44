"""Many reads in one call, and what os.pread gives."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

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


def n_rings() -> int:
    """Descriptors of rings: others come and go with what earlier tests have left."""
    n = 0
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            n += "io_uring" in str(fd.readlink())
    return n


def of_ring(*runs: np.ndarray) -> np.ndarray:
    return ReadRing().read(*runs)


every_way = pytest.mark.parametrize(
    "read", [pytest.param(of_ring, marks=needs_ring), _read_one_by_one, read_all], ids=["ring", "one by one", "all"]
)
