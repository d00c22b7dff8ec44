"""The images that are kept of each latent: those on which it is strongest, and a random choice.

What is kept are the largest of some integer keys. For the strongest images a key is a value and its image's id: the
bits of a positive float32 grow with the float, so `bits << 32 | (2^32 - 1 - id)` sorts by value first and by lower id
second. For the random ones it is a hash of the id, of the latent and of a seed, so that the choice depends neither on
the order of images nor on who saw them: for one latent the hash is a permutation of the ids, from which the id is read
back, and the lower half of a key is free for the value. No order is left to chance.

Shape suffixes: s = latents, k = keys or images kept of each, p = pairs of a latent and a key or an image, r = latents
of a block.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.sparse import Floats
from saev.mixing import latent_keys, mix32, unmix32
from saev.ranges import ranges

Keys = NDArray[np.int64]
NO_KEY: Final = np.iinfo(np.int64).min
KEY_CELLS: Final = 2**17  # Keys compared in one go.
ASIDE: Final = 8  # How many times less keys than in the table may wait: it is cheaper to enter many in one go.


@final
class LargestKeys:
    """The `k` largest of the integers offered to every latent; the same key must not come twice for a latent.

    What is offered fills free columns. Later it is put aside until it is worth a look at the table. Memory: 8 x
    n_latents x (k + 2) bytes, a quarter of that put aside, and during an update as much again and 4 MiB.
    """

    def __init__(self, n_latents: int, k: int) -> None:
        assert n_latents >= 1, f"n_latents {n_latents} < 1"
        assert k >= 1, f"k {k} < 1"
        self._keys_sk = np.full((n_latents, k), NO_KEY)
        self._n_s = np.zeros(n_latents, dtype=np.int64)  # Keys of each latent, in its first columns.
        # Most keys that are offered are not above this, and that is seen without a look at the table.
        self._least_s = np.full(n_latents, NO_KEY)
        self._aside: list[tuple[NDArray[np.int64], Keys]] = []
        self._n_aside = 0

    def update(self, latents_p: NDArray[np.int64], keys_p: Keys) -> None:
        """Offer keys, ascending in their latents."""
        above_p = keys_p > self._least_s[latents_p]
        waiting = self._fill(latents_p[above_p], keys_p[above_p])
        self._aside.append(waiting)
        self._n_aside += len(waiting[1])
        if self._n_aside > self._keys_sk.size // ASIDE:
            self._settle()

    def merge(self, other: Self) -> None:
        """Offer the keys of another such table."""
        keys_sk = other.unsorted
        assert keys_sk.shape == self._keys_sk.shape, f"{keys_sk.shape} for {self._keys_sk.shape}"
        self._settle()
        step = max(1, KEY_CELLS // (2 * keys_sk.shape[1]))
        for start in range(0, len(keys_sk), step):
            rows, columns = np.nonzero(keys_sk[start : start + step] != NO_KEY)
            self._exchange(*self._fill(start + rows, keys_sk[start + rows, columns]))

    def _fill(self, latents_p: NDArray[np.int64], keys_p: Keys) -> tuple[NDArray[np.int64], Keys]:
        """Enter the keys of latents that have free columns for all of theirs; returns the others."""
        rows, starts, counts = _groups(latents_p)
        n = self._n_s[rows]
        fits = n + counts <= self._keys_sk.shape[1]
        if not fits.any():
            return latents_p, keys_p
        places = np.repeat(rows[fits], counts[fits]), ranges(n[fits], counts[fits])
        self._keys_sk[places] = keys_p[ranges(starts[fits], counts[fits])]
        self._n_s[rows[fits]] += counts[fits]
        others = ranges(starts[~fits], counts[~fits])
        return latents_p[others], keys_p[others]

    def _settle(self) -> None:
        """Enter what was put aside."""
        aside, self._aside, self._n_aside = self._aside, [], 0
        if aside:
            self._exchange(*(aside[0] if len(aside) == 1 else _sorted_by_latent(aside)))

    def _exchange(self, latents_p: NDArray[np.int64], keys_p: Keys) -> None:
        """Enter keys of latents that cannot keep all that they have then."""
        rows, starts, counts = _groups(latents_p)
        for chosen in self._blocks(counts):
            counts_r, m = counts[chosen], int(counts[chosen].max())
            both = np.empty((len(chosen), m + self._keys_sk.shape[1]), dtype=np.int64)
            both[:, :m] = NO_KEY
            offered = ranges(starts[chosen], counts_r)
            columns = ranges(np.zeros_like(counts_r), counts_r)
            both[np.repeat(np.arange(len(chosen)), counts_r), columns] = keys_p[offered]
            self._keep_largest(rows[chosen], both)

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
        self._n_s[rows_r] = k

    @property
    def unsorted(self) -> Keys:
        """(n_latents, k) keys in any order, `NO_KEY` where there are fewer; not a copy."""
        self._settle()
        return self._keys_sk

    @property
    def keys(self) -> Keys:
        """(n_latents, k) keys, descending, `NO_KEY` where there are fewer."""
        return np.sort(self.unsorted, axis=1)[:, ::-1]


def _groups(latents_p: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The latents among ascending ones, where each begins and how often it is there."""
    starts = np.flatnonzero(np.diff(latents_p, prepend=-1))
    return latents_p[starts], starts, np.diff(starts, append=len(latents_p))


def _sorted_by_latent(aside: list[tuple[NDArray[np.int64], Keys]]) -> tuple[NDArray[np.int64], Keys]:
    latents_p, keys_p = (np.concatenate(arrays) for arrays in zip(*aside, strict=True))
    order = latents_p.argsort(kind="stable")
    return latents_p[order], keys_p[order]


LAST_ID: Final = 2**32 - 1


@final
class TopImages:
    """The `k` strongest images of every latent, exactly, ties going to the lower image id.

    Memory: see `LargestKeys`.

    >>> top = TopImages(n_latents=2, k=2)
    >>> top.update(np.array([0, 0, 1]), np.array([1, 3, 2], dtype=np.float32), np.array([7, 9, 7]))
    >>> top.values.tolist(), top.images.tolist()
    ([[3.0, 1.0], [2.0, 0.0]], [[9, 7], [7, -1]])
    """

    def __init__(self, n_latents: int, k: int) -> None:
        self._largest = LargestKeys(n_latents, k)

    def update(self, latents_p: NDArray[np.int64], values_p: Floats, ids_p: NDArray[np.int64]) -> None:
        """Offer images, ascending in their latents, each once for a latent; only values above zero count.

        Args:
            values_p: What the images are worth, finite.
            ids_p: The images, 0 to 2^32 - 1.
        """
        present_p = values_p > 0
        if not present_p.all():
            latents_p, values_p, ids_p = latents_p[present_p], values_p[present_p], ids_p[present_p]
        self._largest.update(latents_p, (value_bits(values_p) << 32) | (LAST_ID - ids_p))

    @property
    def values(self) -> Tensor:
        """(n_latents, k) float32, descending; 0 where a latent fired on fewer than k images."""
        keys_sk = self._largest.keys
        return torch.from_numpy(np.where(keys_sk == NO_KEY, np.float32(0), values_of_bits(keys_sk >> 32)))

    @property
    def images(self) -> Tensor:
        """(n_latents, k) int64 image ids in the order of `values`; -1 where absent."""
        keys_sk = self._largest.keys
        return torch.from_numpy(np.where(keys_sk == NO_KEY, -1, LAST_ID - (keys_sk & LAST_ID)))

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._largest.merge(other._largest)


def value_bits(values: Floats) -> NDArray[np.int64]:
    """The bits of floats."""
    return values.view(np.int32).astype(np.int64)


def values_of_bits(bits: NDArray[np.int64]) -> Floats:
    """Inverse of `value_bits`; only the lower half counts."""
    return bits.astype(np.int32).view(np.float32)


@final
class ImageSample:
    """Up to `k` of the images on which each latent fires, every image as likely as another.

    Memory: see `LargestKeys`, and 4 bytes a latent.
    """

    def __init__(self, n_latents: int, k: int, seed: int) -> None:
        self._largest = LargestKeys(n_latents, k)
        self._latent_keys_s = latent_keys(n_latents, seed)

    def update(self, latents_p: NDArray[np.int64], values_p: Floats, ids_p: NDArray[np.int64]) -> None:
        """Offer images as to `TopImages`."""
        present_p = values_p > 0
        if not present_p.all():
            latents_p, values_p, ids_p = latents_p[present_p], values_p[present_p], ids_p[present_p]
        hashes_p = mix32(ids_p.astype(np.uint32) ^ self._latent_keys_s[latents_p])
        self._largest.update(latents_p, (hashes_p.view(np.int32).astype(np.int64) << 32) | value_bits(values_p))

    @property
    def values(self) -> Tensor:
        """(n_latents, k) float32, in a random order; 0 where a latent fired on fewer than k images."""
        keys_sk = self._largest.keys
        return torch.from_numpy(np.where(keys_sk == NO_KEY, np.float32(0), values_of_bits(keys_sk)))

    @property
    def images(self) -> Tensor:
        """(n_latents, k) int64 image ids in the order of `values`; -1 where absent."""
        keys_sk = self._largest.keys
        ids_sk = unmix32((keys_sk >> 32).astype(np.uint32)) ^ self._latent_keys_s[:, None]
        return torch.from_numpy(np.where(keys_sk == NO_KEY, -1, ids_sk.astype(np.int64)))

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._largest.merge(other._largest)


def quantile_groups(
    values: Tensor, images: Tensor, n_groups: int = 5, n_each: int = 4
) -> list[list[tuple[int, float]]]:
    """Images from the whole range of values of a latent, the strongest group first.

    The chosen images are sorted by value (ties by the lower id) and cut into groups of equal size, as far as that is
    possible; of each group up to `n_each` are taken at equal distances.

    Args:
        values: (k,), one latent's row of `ImageSample.values`.
        images: (k,), that of its images, -1 where absent.
        n_each: Images of a group at most.

    Returns:
        For each group ids and values, descending; a group is empty if there are fewer images than groups.

    >>> quantile_groups(torch.tensor([1.0, 4.0, 3.0, 2.0, 0.0]), torch.tensor([5, 6, 7, 8, -1]), n_groups=2, n_each=1)
    [[(6, 4.0)], [(8, 2.0)]]
    """
    found = [(int(i), float(v)) for i, v in zip(images.tolist(), values.tolist(), strict=True) if i >= 0]
    found.sort(key=lambda image: (-image[1], image[0]))
    bounds = [len(found) * group // n_groups for group in range(n_groups + 1)]
    groups = [found[start:stop] for start, stop in pairwise(bounds)]
    return [
        [group[i * len(group) // n_each] for i in range(n_each)] if len(group) > n_each else group for group in groups
    ]
