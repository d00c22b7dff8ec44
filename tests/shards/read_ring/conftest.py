"""Files to read from."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
from tests.shards.read_ring.reads import N_BYTES

from saev.shards.reading import read_ring


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
