"""Ranges of consecutive integers, many at once."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """The integers of one range after the other.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    places: Ints = np.repeat(starts - (lengths.cumsum() - lengths), lengths)
    places += np.arange(len(places))
    return places


def numbered_ranges(starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Which range each integer is in, and the integers.

    >>> [part.tolist() for part in numbered_ranges(np.array([5, 0]), np.array([2, 3]))]
    [[0, 0, 1, 1, 1], [5, 6, 0, 1, 2]]
    """
    return np.repeat(np.arange(len(starts)), lengths), ranges(starts, lengths)
