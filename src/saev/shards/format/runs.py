"""Runs of consecutive integers, many at once."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def runs(starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Runs of consecutive integers: which run each is in, and the integers.

    >>> [part.tolist() for part in runs(np.array([5, 0]), np.array([2, 3]))]
    [[0, 0, 1, 1, 1], [5, 6, 0, 1, 2]]
    """
    number = np.repeat(np.arange(len(starts)), lengths)
    before = np.cumsum(lengths) - lengths
    return number, np.arange(len(number)) - before[number] + starts[number]
