"""A random choice of rows, such as tokens or images, with their entries: latents, and values where these are wanted.

Rows are chosen by hashes. Of the rows in the order of their hashes, those are kept that come before the first one that
would exceed a bound. Whatever is dropped on the way would be dropped in the end, so that the choice depends neither on
the order of rows nor on who saw them.

Shape suffixes: c = chosen rows, r = rows offered, e = entries, row after row.
"""

from typing import Final, NamedTuple, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.latents.sparse import Floats
from saev.ranges import ranges

NO_VALUES: Final[Floats] = np.empty(0, np.float32)
"""Values of rows of which none are kept."""


class Rows(NamedTuple):
    """Hashes (c,) int64 and numbers (c,) int64 of entries; latents (e,) int32, and values (e,) or `NO_VALUES`."""

    hashes_c: NDArray[np.int64]
    counts_c: NDArray[np.int64]
    latents_e: NDArray[np.int32]
    values_e: Floats

    def take(self, rows: NDArray[np.int64]) -> "Rows":
        """Some of the rows, in any order."""
        counts = self.counts_c[rows]
        entries = ranges((self.counts_c.cumsum() - self.counts_c)[rows], counts)
        values_e = self.values_e[entries] if len(self.values_e) else self.values_e
        return Rows(self.hashes_c[rows], counts, self.latents_e[entries], values_e)


@final
class HashedRows:
    """The rows of the lowest hashes, as many as the bounds allow; no hash comes twice.

    Memory: 16 bytes for each of `max_rows`, 4 bytes (8 with values) for each of `max_entries`, and three times that now
    and then.

    Args:
        max_entries: Entries of all these rows at most.
    """

    def __init__(self, max_rows: int, max_entries: int) -> None:
        self._max_rows, self._max_entries = max_rows, max_entries
        self._parts = [Rows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int32), NO_VALUES)]
        self._n_pending = 0
        self._stop = np.iinfo(np.int64).max  # Rows from this hash on are not kept.

    def add(self, rows: Rows, is_offered_r: NDArray[np.bool_]) -> None:
        """Offer some of these rows."""
        wanted = np.flatnonzero(is_offered_r & (rows.hashes_c < self._stop))
        if not len(wanted):
            return
        part = rows if len(wanted) == len(rows.hashes_c) else rows.take(wanted)
        self._parts.append(part)
        self._n_pending += 4 * len(part.counts_c) + len(part.latents_e)
        if self._n_pending > (4 * self._max_rows + self._max_entries) // 4:
            self.settle()

    def settle(self) -> Rows:
        """Drop what exceeds the bounds, and give the chosen rows of all so far, in the order of their hashes."""
        if len(self._parts) > 1:
            everything = Rows(*(np.concatenate(arrays) for arrays in zip(*self._parts, strict=True)))
            order = everything.hashes_c.argsort()
            n = int(np.searchsorted(everything.counts_c[order].cumsum(), self._max_entries, side="right"))
            n = min(n, self._max_rows)
            if n < len(order):
                self._stop = min(self._stop, int(everything.hashes_c[order[n]]))
            self._parts, self._n_pending = [everything.take(order[:n])], 0
        return self._parts[0]

    def merge(self, other: Self) -> None:
        """Add the choice among other rows."""
        found = other.settle()
        self._stop = min(self._stop, other._stop)
        self._parts.append(found)
        everything = self.settle()
        # What follows the other's first dropped row must go, even where there is room for it.
        self._parts = [everything.take(np.flatnonzero(everything.hashes_c < self._stop))]
