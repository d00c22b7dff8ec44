"""Pictures from the whole range of a latent's values: a few dozen labelled ones speak for all of them.

Shape suffixes: i = pictures to choose from, k = pictures of the sample, s = strata.
"""

from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.probing.statistics.arrays import Bools
from saev.ranges import Ints

N_PARTS: Final = 2
"""Of the values above the threshold, and of the positive ones that do not exceed it."""


@final
@dataclass(frozen=True)
class Stratum:
    """Pictures whose values lie close to each other, or that have one label."""

    low: float  # Their smallest value.
    high: float  # Their largest one.
    size: int  # How many there are.
    n: int  # How many of them were chosen, at random.
    label: bool | None = None  # That of all of them, where the stratum was made by it.

    @property
    def weight(self) -> float:
        """For how many pictures each of the chosen ones stands."""
        return self.size / self.n


@final
@dataclass(frozen=True)
class Sample:
    """Some pictures."""

    pictures_k: Ints  # Their places among those to choose from.
    strata_k: Ints  # The stratum of each.
    strata: tuple[Stratum, ...]  # From the smallest values on.

    @property
    def weights_k(self) -> NDArray[np.float64]:
        """For how many pictures each stands: a weighted sum over the sample estimates the sum over all."""
        return np.array([stratum.weight for stratum in self.strata])[self.strata_k]


def stratified_sample(
    values_i: NDArray[np.floating[Any]], threshold: float, n: int, seed: int, free_i: Bools | None = None
) -> Sample:
    """Choose n pictures: a third that fire, a third of those with smaller values, a third of the silent ones.

    What fires is rare where thresholds are high: of pictures from the whole range few would say how right it is. Those
    that fire, and those with smaller values, are two strata each, parted at the median, which give as many pictures.
    A stratum with fewer pictures is taken whole, and the others give more, in the same proportions. Equal values are in
    one stratum, which gives a whole third where it is the only one.

    Args:
        values_i: Value of the latents on each picture, none below 0.
        threshold: What the values exceed where the latents fire, not below 0.
        n: How many to choose; where there are fewer, all are taken.
        seed: Of the choice and of the order.
        free_i: Which may be chosen, all without it. They stand for the others of their stratum, too: an earlier sample
            took those at random. A stratum without any is left out.

    Raises:
        InputError: Fewer pictures are asked for than there are strata, or there are none to choose from.

    >>> sample = stratified_sample(np.array([0, 0, 0, 0, 0, 0, 1, 2, 3, 4.0]), threshold=2.5, n=7, seed=0)
    >>> [(stratum.low, stratum.high, stratum.size, stratum.n) for stratum in sample.strata]
    [(0.0, 0.0, 6, 3), (1.0, 1.0, 1, 1), (2.0, 2.0, 1, 1), (3.0, 3.0, 1, 1), (4.0, 4.0, 1, 1)]
    >>> float(sample.weights_k.sum())
    10.0
    """
    if not len(values_i):
        raise InputError("there are no pictures to choose from")
    free_i = np.ones(len(values_i), np.bool_) if free_i is None else free_i
    strata_i = _strata(values_i, threshold)
    size_s, free_s = np.bincount(strata_i), np.bincount(strata_i[free_i], minlength=strata_i.max() + 1)
    there_s, n = np.flatnonzero(free_s), min(n, int(free_s.sum()))
    if n < len(there_s):
        raise InputError(f"{n} pictures are too few: there are {len(there_s)} strata, of which each needs one")
    kind_s = np.zeros(len(size_s), dtype=np.int64)  # silent, below the threshold, firing
    kind_s[strata_i] = (values_i > 0).astype(np.int64) + (values_i > threshold)
    share_s = 1 / np.bincount(kind_s)[kind_s]
    n_s = allotted(free_s[there_s], share_s[there_s], n)
    rng = np.random.default_rng(seed)
    chosen = [
        rng.choice(np.flatnonzero((strata_i == s) & free_i), own, replace=False)
        for s, own in zip(there_s, n_s, strict=True)
    ]
    pictures_k = rng.permutation(np.concatenate(chosen))
    strata = tuple(
        Stratum(float(values_i[strata_i == s].min()), float(values_i[strata_i == s].max()), int(size_s[s]), int(own))
        for s, own in zip(there_s, n_s, strict=True)
    )
    return Sample(pictures_k, np.searchsorted(there_s, strata_i[pictures_k]), strata)


def allotted(size_s: Ints, share_s: NDArray[np.float64], n: int) -> Ints:
    """Divide n among strata by their shares: each gets at least one, none more than it has.

    >>> allotted(np.array([100, 3, 50]), np.array([2.0, 1.0, 1.0]), 20).tolist()
    [11, 3, 6]
    """
    assert len(size_s) <= n <= size_s.sum(), (size_s, n)
    n_s = np.ones(len(size_s), dtype=np.int64)
    for _ in range(n - len(size_s)):
        # The one that is furthest behind its share; the first of equal ones.
        n_s[np.where(n_s < size_s, n_s / share_s, np.inf).argmin()] += 1
    return n_s


def _strata(values_i: NDArray[np.floating[Any]], threshold: float) -> Ints:
    """The stratum of each picture, numbered without gaps from the smallest values on."""
    edges = [0.0, threshold]  # the largest values of the silent ones, and of those that do not fire
    for part in (values_i[(values_i > 0) & (values_i <= threshold)], values_i[values_i > threshold]):
        if len(part):
            edges += np.quantile(part, np.arange(1, N_PARTS) / N_PARTS).tolist()
    found_i = np.searchsorted(np.sort(edges), values_i, side="left")
    return np.unique(found_i, return_inverse=True)[1].astype(np.int64)
