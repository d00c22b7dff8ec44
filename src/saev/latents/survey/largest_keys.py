"""The largest keys of every latent, kept exactly in bounded memory.

Shape suffixes: s = latents, k = keys kept of each, p = offered pairs of a latent and a key, r = latents of a block.
"""

from collections.abc import Iterator
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.ranges import ranges

Keys = NDArray[np.int64]
NO_KEY: Final = np.iinfo(np.int64).min
KEY_CELLS: Final = 2**17  # Keys compared in one go.
ASIDE: Final = 8  # How many times less keys than in the table may wait: it is cheaper to enter many in one go.


@final
class LargestKeys:
    """The `k` largest of the integers offered to every latent; the same key must not come twice for a latent.

    What is offered is put aside until it is worth a look at the table. Memory: 8 x n_latents x (k + 1) bytes, a quarter
    of that put aside, and during an update as much again and 4 MiB.
    """

    def __init__(self, n_latents: int, k: int) -> None:
        assert n_latents >= 1, f"n_latents {n_latents} < 1"
        assert k >= 1, f"k {k} < 1"
        self._keys_sk = np.full((n_latents, k), NO_KEY)
        # Most keys that are offered are not above this, and that is seen without a look at the table.
        self._least_s = np.full(n_latents, NO_KEY)
        self._aside: list[tuple[NDArray[np.int64], Keys]] = []
        self._n_aside = 0

    def update(self, latents_p: NDArray[np.int64], keys_p: Keys) -> None:
        """Offer keys, ascending in their latents."""
        above_p = keys_p > self._least_s[latents_p]
        latents_p, keys_p = latents_p[above_p], keys_p[above_p]
        self._aside.append((latents_p, keys_p))
        self._n_aside += len(keys_p)
        if self._n_aside > self._keys_sk.size // ASIDE:
            self._settle()

    def merge(self, keys_sk: Keys) -> None:
        """Offer the keys of another such table."""
        assert keys_sk.shape == self._keys_sk.shape, f"{keys_sk.shape} for {self._keys_sk.shape}"
        self._settle()
        step = max(1, KEY_CELLS // (2 * keys_sk.shape[1]))
        for start in range(0, len(keys_sk), step):
            rows_r = np.arange(start, min(start + step, len(keys_sk)))
            both = np.empty((len(rows_r), 2 * keys_sk.shape[1]), dtype=np.int64)
            both[:, : keys_sk.shape[1]] = keys_sk[rows_r]
            self._keep_largest(rows_r, both)

    def _settle(self) -> None:
        """Enter what was put aside."""
        aside, self._aside, self._n_aside = self._aside, [], 0
        if not sum(len(keys) for _, keys in aside):
            return
        latents_p, keys_p = aside[0] if len(aside) == 1 else _sorted_by_latent(aside)
        starts = np.flatnonzero(np.diff(latents_p, prepend=-1))
        counts = np.diff(starts, append=len(latents_p))
        for chosen in self._blocks(counts):
            counts_r, m = counts[chosen], int(counts[chosen].max())
            both = np.empty((len(chosen), m + self._keys_sk.shape[1]), dtype=np.int64)
            both[:, :m] = NO_KEY
            offered = ranges(starts[chosen], counts_r)
            columns = ranges(np.zeros_like(counts_r), counts_r)
            both[np.repeat(np.arange(len(chosen)), counts_r), columns] = keys_p[offered]
            self._keep_largest(latents_p[starts[chosen]], both)

    def _blocks(self, counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Latents that are looked at together: with about as many keys, and few enough for `KEY_CELLS`."""
        sizes = np.frexp(counts)[1]
        for size in np.unique(sizes):
            alike = np.flatnonzero(sizes == size)
            step = max(1, KEY_CELLS // (self._keys_sk.shape[1] + 2 ** int(size)))
            yield from (alike[start : start + step] for start in range(0, len(alike), step))

    def _keep_largest(self, rows_r: NDArray[np.int64], both: Keys) -> None:
        """Of some latents, what is in the first columns and what they have; the last k columns are free for that."""
        k = self._keys_sk.shape[1]
        both[:, -k:] = self._keys_sk[rows_r]
        both.partition(both.shape[1] - k, axis=1)
        self._keys_sk[rows_r] = both[:, -k:]
        self._least_s[rows_r] = both[:, -k]

    @property
    def unsorted(self) -> Keys:
        """(n_latents, k) keys in any order, `NO_KEY` where there are fewer; not a copy."""
        self._settle()
        return self._keys_sk

    @property
    def keys(self) -> Keys:
        """(n_latents, k) keys, descending, `NO_KEY` where there are fewer."""
        return np.sort(self.unsorted, axis=1)[:, ::-1]


def _sorted_by_latent(aside: list[tuple[NDArray[np.int64], Keys]]) -> tuple[NDArray[np.int64], Keys]:
    latents_p, keys_p = (np.concatenate(arrays) for arrays in zip(*aside, strict=True))
    order = latents_p.argsort(kind="stable")
    return latents_p[order], keys_p[order]
