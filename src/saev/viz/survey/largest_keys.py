"""The largest keys of every latent, kept exactly in bounded memory.

Shape suffixes: s = latents, k = keys kept of each, p = offered pairs of a latent and a key, r = latents of a block,
m = most keys offered to one of them.
"""

from collections.abc import Iterator
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.int64]
NO_KEY: Final = np.iinfo(np.int64).min
BLOCK_CELLS: Final = 2**18  # Keys compared in one go.


@final
class LargestKeys:
    """The `k` largest of the integers offered to every latent; the same key must not come twice for a latent.

    Memory: 8 x n_latents x (k + 1) bytes, and 4 MiB during an update, or with k over 2^18 as much as a latent's keys.
    """

    def __init__(self, n_latents: int, k: int) -> None:
        assert n_latents >= 1, f"n_latents {n_latents} < 1"
        assert k >= 1, f"k {k} < 1"
        self._keys_sk = np.full((n_latents, k), NO_KEY)
        # Most keys that are offered are not above this, and that is seen without a look at the table.
        self._least_s = np.full(n_latents, NO_KEY)

    def update(self, latents_p: NDArray[np.int64], keys_p: Keys) -> None:
        """Offer keys, ascending in their latents."""
        above_p = keys_p > self._least_s[latents_p]
        latents_p, keys_p = latents_p[above_p], keys_p[above_p]
        starts = np.flatnonzero(np.diff(latents_p, prepend=-1))
        counts = np.diff(starts, append=len(latents_p))
        for block in self._blocks(counts):
            rows_r, counts_r = latents_p[starts[block]], counts[block]
            first = int(starts[block.start])
            stop = first + int(counts_r.sum())
            both = np.empty((len(rows_r), int(counts_r.max()) + self._keys_sk.shape[1]), dtype=np.int64)
            both[:, : counts_r.max()] = NO_KEY
            places = np.arange(stop - first) - np.repeat(starts[block] - first, counts_r)
            both[np.repeat(np.arange(len(rows_r)), counts_r), places] = keys_p[first:stop]
            self._keep_largest(rows_r, both)

    def merge(self, keys_sk: Keys) -> None:
        """Offer the keys of another such table."""
        assert keys_sk.shape == self._keys_sk.shape, f"{keys_sk.shape} for {self._keys_sk.shape}"
        step = max(1, BLOCK_CELLS // (2 * keys_sk.shape[1]))
        for start in range(0, len(keys_sk), step):
            rows_r = np.arange(start, min(start + step, len(keys_sk)))
            both = np.empty((len(rows_r), 2 * keys_sk.shape[1]), dtype=np.int64)
            both[:, : keys_sk.shape[1]] = keys_sk[rows_r]
            self._keep_largest(rows_r, both)

    def _blocks(self, counts: NDArray[np.int64]) -> Iterator[slice]:
        """Latents that are looked at together, few enough for `BLOCK_CELLS`."""
        if len(counts):
            step = max(1, BLOCK_CELLS // (self._keys_sk.shape[1] + int(counts.max())))
            yield from (slice(start, min(start + step, len(counts))) for start in range(0, len(counts), step))

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
        return self._keys_sk

    @property
    def keys(self) -> Keys:
        """(n_latents, k) keys, descending, `NO_KEY` where there are fewer."""
        return np.sort(self._keys_sk, axis=1)[:, ::-1]
