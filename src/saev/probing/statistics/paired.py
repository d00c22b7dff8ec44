"""Paired pictures: what an edit changes.

Shape suffixes: i = pairs, g = groups, b = draws.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from saev.errors import InputError
from saev.probing.statistics.arrays import Floats, as_floats, as_numbers, as_weights
from saev.probing.statistics.permutation import ROUNDING, p_value

MOST_EXACT: Final = 14
"""Up to 2^14 arrangements of signs are all looked at."""
SLAB: Final = 2**21  # Groups x draws that are held at once.


@dataclass(frozen=True)
class PairedEffect:
    """What a change of a picture does to a value.

    Args:
        n: Pairs.
        mean: Mean of a' - a.
        low: Lower end of its interval, see `mean_interval`.
        high: Upper end.
        share_as_claimed: Share of pairs whose value rose, which is what is claimed.
        p: Two-sided, by `sign_flip`.
    """

    n: int
    mean: float
    low: float
    high: float
    share_as_claimed: float
    p: float


def sign_flip(difference_i: ArrayLike, n: int, rng: np.random.Generator, group_i: ArrayLike | None = None) -> float:
    """Two-sided p that the mean of paired differences is 0: P(|sum of +-d| >= |sum of d|) over flips of signs.

    Fisher's (1935) randomisation test of pairs. All flips are counted where at most 14 pairs (or groups) differ from 0,
    else n random ones. Six pairs that all moved one way give 2 / 2^6 = .03125, the fewest that reach .05.

    Args:
        difference_i: (i,) value after less value before.
        n: Random flips where there are too many to count all.
        group_i: (i,) groups whose pairs are not independent, as edits of one picture: they flip together.

    Raises:
        InputError: If there are no pairs, a difference is not finite, or lengths differ.

    >>> sign_flip([1, 2, 1, 3, 1, 2], 10_000, np.random.default_rng(0))
    0.03125
    """
    difference = as_floats(difference_i, "differences")
    if difference.ndim != 1 or not difference.size:
        raise InputError("there are no pairs to test")
    sum_g = np.bincount(as_numbers(group_i, difference.size, "groups"), weights=difference)
    sum_g = sum_g[np.abs(sum_g) > ROUNDING * np.abs(difference).max()]
    if len(sum_g) > MOST_EXACT:
        size = max(1, SLAB // len(sum_g))
        slabs = [_flipped(sum_g, rng.random((min(size, n - start), len(sum_g))) < 0.5) for start in range(0, n, size)]
        return p_value(abs(sum_g.sum()), np.concatenate(slabs))
    bits = np.arange(2 ** len(sum_g))[:, None] >> np.arange(len(sum_g)) & 1
    all_b, observed = _flipped(sum_g, bits == 1), abs(sum_g.sum())
    return float(np.mean(all_b >= observed - ROUNDING * np.abs(sum_g).sum()))


def _flipped(sum_g: Floats, is_flipped_bg: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    found: Floats = np.abs(np.where(is_flipped_bg, -sum_g, sum_g).sum(1))
    return found


def mean_interval(
    value_i: ArrayLike, group_i: ArrayLike | None = None, weight_i: ArrayLike | None = None
) -> tuple[float, float]:
    """95 % interval of a mean by Student's t over groups: mean +- t_{G - 1} sqrt(G / (G - 1) sum_g e_g^2) / sum_i w_i.

    e_g is the weighted sum over a group's pictures of what is above the weighted mean (the ratio estimator of cluster
    samples; Cochran, Sampling Techniques, 1977, 9A). Without groups and weights this is the usual interval.

    Args:
        value_i: (i,) values.
        group_i: (i,) groups; without them each value is one.
        weight_i: (i,) for how many pictures each stands; without them for as many as any other.

    Returns:
        Lower and upper end, infinite for a single group.

    Raises:
        InputError: If there are no values, one is not finite, or lengths differ.

    >>> [round(end, 3) for end in mean_interval([1, 2, 3, 4])]
    [0.446, 4.554]
    """
    value = as_floats(value_i)
    if value.ndim != 1 or not value.size:
        raise InputError("there are no values to take a mean of")
    group = as_numbers(group_i, value.size, "groups")
    weight = as_weights(weight_i, value.size)
    mean = float(np.average(value, weights=weight))
    above_g = np.bincount(group, weights=weight * (value - mean))
    n = len(above_g)
    if n < 2:
        return float("-inf"), float("inf")
    half = float(student.ppf(0.975, n - 1) * np.sqrt(n / (n - 1) * (above_g @ above_g)) / weight.sum())
    return mean - half, mean + half


def paired_effect(
    before_i: ArrayLike,
    after_i: ArrayLike,
    n: int,
    rng: np.random.Generator,
    group_i: ArrayLike | None = None,
    weight_i: ArrayLike | None = None,
) -> PairedEffect:
    """Mean change of paired values, how many rose, and whether that is more than chance.

    Args:
        before_i: (i,) values of the pictures as they were.
        after_i: (i,) values of the changed ones.
        n: Random flips, see `sign_flip`.
        group_i: (i,) groups whose pairs are not independent.
        weight_i: (i,) for how many pairs each stands, in all but the share.

    Raises:
        InputError: If there are no pairs, a value is not finite, or lengths differ.

    >>> found = paired_effect([1, 1, 1, 1, 1, 1], [3, 2, 3, 3, 2, 2], 1000, np.random.default_rng(0))
    >>> found.mean, found.share_as_claimed, found.p, round(found.low, 3), round(found.high, 3)
    (1.5, 1.0, 0.03125, 0.925, 2.075)
    """
    before, after = as_floats(before_i), as_floats(after_i)
    if before.shape != after.shape:
        raise InputError(f"pairs need as many values before as after: got shapes {before.shape} and {after.shape}")
    difference = after - before
    weight = as_weights(weight_i, difference.size)
    p = sign_flip(weight * difference, n, rng, group_i)
    low, high = mean_interval(difference, group_i, weight)
    mean = float(np.average(difference, weights=weight))
    return PairedEffect(difference.size, mean, low, high, float((difference > 0).mean()), p)
