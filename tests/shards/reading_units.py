"""Ways to read units of a recording, for the tests."""

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from tests.shards.small_recordings import make_recording

from saev.shards.format.dtypes import encode
from saev.shards.format.layout import TokenLayout
from saev.shards.reading import unit_reads
from saev.shards.reading.read_ring import _read_one_by_one
from saev.shards.reading.unit_reads import UnitReads

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


def open_below(directory: Path) -> list[str]:
    """Names of the files of a directory that this process has open."""
    links = []
    for fd in Path("/proc/self/fd").iterdir():
        try:
            links.append(fd.readlink())
        except FileNotFoundError:  # the one that lists them
            continue
    return [link.name for link in links if link.parent == directory]
