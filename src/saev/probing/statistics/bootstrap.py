"""Intervals of scores, by resampling groups within strata.

Shape suffixes: i = pictures, g = groups (in each stratum), h = strata, b = draws, k = the four cells of `Counts`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from saev.errors import InputError
from saev.probing.statistics.arrays import (
    Bools,
    Floats,
    Integers,
    as_labels,
    as_numbers,
    as_strata,
    as_weights,
    components,
    same_length,
)
from saev.probing.statistics.scores import Counts, counts, ratio

PRIOR = 0.5  # Pictures that Jeffreys' prior adds to a cell.
LEAST_SHAPE = 0.1  # Of the weights of two groups together: nearly all of it falls to one of them.
LEVEL = 0.95  # The share of samples whose interval covers the true value.
CELLS = 2**22  # Bound of draws x groups that are held at once.


class Interval(NamedTuple):
    """An estimate and the ends of its interval."""

    estimate: float
    low: float
    high: float


def interval(
    score: Callable[[Counts], Any],
    fires_i: ArrayLike,
    y_i: ArrayLike,
    n: int,
    rng: np.random.Generator,
    weights_i: ArrayLike | None = None,
    group_i: ArrayLike | None = None,
    stratum_i: ArrayLike | None = None,
    *,
    is_by_label: bool = False,
    confounder_i: ArrayLike | None = None,
) -> Interval:
    """95 % interval of a score of the four counts, as MCC: percentiles of `draw_counts`, and the estimate is within.

    The percentiles are those that normal deviates reach which are as large as Student's t of one degree of freedom less
    than there are groups (Hesterberg, 2015): of few groups the variance is little known.

    Args:
        score: Of `Counts` of arrays, as `Counts.mcc`.
        fires_i: (i,) whether the latent fires, at a threshold that these labels did not choose.
        y_i: (i,) labels, 0 or 1.
        n: Draws, about 2,000.
        weights_i: (i,) weights of a sample that was drawn with unequal chances, 1 without them.
        group_i: (i,) groups (specimen, site); without them each picture is one.
        stratum_i: (i,) strata that the sample was drawn from, each with a number of pictures that was fixed; without
            them one. Not confounders: chance chose how many pictures have those.
        is_by_label: Whether the strata were made by labels; otherwise by the latent's values, or there is one.
        confounder_i: (i,) values of a confounder: the score gets arrays whose last axis is these, as
            `Counts.mcc_within`.

    Raises:
        InputError: If there is a single group, or as `counts`.

    >>> fires, y = [1] * 20 + [0] * 40, [1] * 15 + [0] * 45
    >>> found = interval(Counts.mcc, fires, y, 2000, np.random.default_rng(0))
    >>> round(found.estimate, 2), round(found.low, 1), round(found.high, 1)
    (0.82, 0.6, 0.9)
    """
    estimate = float(score(counts(fires_i, y_i, weights_i, confounder_i)))
    drawn = draw_counts(
        fires_i, y_i, n, rng, weights_i, group_i, stratum_i, is_by_label=is_by_label, confounder_i=confounder_i
    )
    draws_b, n_groups = score(drawn), len(np.unique(np.arange(np.size(y_i)) if group_i is None else group_i))
    tail = special.ndtr(special.stdtrit(n_groups - 1, (1 - LEVEL) / 2))
    low, high = np.quantile(draws_b, [tail, 1 - tail])
    return Interval(estimate, min(float(low), estimate), max(float(high), estimate))


def draw_counts(
    fires_i: ArrayLike,
    y_i: ArrayLike,
    n: int,
    rng: np.random.Generator,
    weights_i: ArrayLike | None = None,
    group_i: ArrayLike | None = None,
    stratum_i: ArrayLike | None = None,
    *,
    is_by_label: bool = False,
    confounder_i: ArrayLike | None = None,
) -> Counts:
    """Counts (b,), or (b, c) with a confounder of c values, of populations that the sample may come from.

    The Bayesian bootstrap (Rubin, 1981): each of the G groups of a stratum gets a random weight, gamma distributed with
    shape (G - 2) / G, not 1, so that the variance of a mean is unbiased for few groups. To each cell of each stratum a
    random mass of 1/2 picture on average is added, from a gamma distribution of shape 1/2, times the stratum's design
    effect. Of independent pictures these are draws from the posterior of Jeffreys' prior, whose intervals of shares
    cover as stated (Brown, Cai and DasGupta, 2001). Without the mass a sample without a single miss would be sure that
    there are none. Cells of firing that a stratum never shows stay empty, because strata of the latent's value have one
    kind; with `is_by_label` those of a label. Where the whole sample shows one kind, no cell stays empty: a latent that
    fires on none of 12 pictures may fire on the next. The values of a confounder share that mass by how many pictures
    they have. The design effect is the mean of the cells' (Rao and Scott, 1981), at least 1. Each stratum is scaled to
    what it stands for, which is known.

    A group in several strata has one weight in all of them. Arguments and errors are those of `interval`.

    >>> draw_counts([1, 0, 1, 0], [1, 0, 0, 1], 3, np.random.default_rng(0)).tp.shape
    (3,)
    """
    fires, y = as_labels(fires_i, "values of firing"), as_labels(y_i)
    same_length(y.size, firing=fires, labels=y)
    w = as_weights(weights_i, y.size)
    group, stratum = as_numbers(group_i, y.size, "groups"), as_strata(stratum_i, y.size)
    if y.size == 0 or group.max() == 0:
        raise InputError(f"an interval needs at least two groups of pictures: {y.size} pictures are in one")
    own_i = as_strata(confounder_i, y.size, "confounders")
    apart_ik = np.zeros((y.size, 4 * (own_i.max() + 1)))  # the four cells of each value of the confounder
    apart_ik[np.arange(y.size), 4 * own_i + 2 * ~fires + ~y] = w
    cells_ik, drawn_bk = apart_ik.reshape(y.size, -1, 4).sum(1), np.zeros((n, apart_ik.shape[1]))
    kind, kind_k = (y, np.array([True, False, True, False])) if is_by_label else (fires, np.arange(4) < 2)
    is_told_apart = 0 < kind.sum() < kind.size
    for part_i in _apart(group, stratum):
        numbers = np.unique(stratum[part_i])
        # The cells of the part's strata side by side, so that they get the same weights.
        beside_ik = np.concatenate([apart_ik[part_i] * (stratum[part_i] == one)[:, None] for one in numbers], axis=1)
        weighted_bk = _weighted(_summed(beside_ik, group[part_i]), n, rng)
        for number, own_bk in zip(numbers, np.split(weighted_bk, len(numbers), axis=1), strict=True):
            is_in_i = stratum == number
            effect = _design_effect(_summed(cells_ik[is_in_i], group[is_in_i]), int(is_in_i.sum()))
            may_be_k = np.isin(kind_k, kind[is_in_i]) if is_told_apart else np.ones(4)
            share_c = np.bincount(own_i[is_in_i], minlength=own_i.max() + 1) / is_in_i.sum()
            mass_k = effect * w[is_in_i].mean() * np.kron(share_c > 0, may_be_k)
            both_bk = own_bk + mass_k * rng.gamma(np.repeat(PRIOR * share_c, 4), 1, drawn_bk.shape)
            drawn_bk += both_bk * ratio(w[is_in_i].sum(), both_bk.sum(1, keepdims=True))
    found = np.moveaxis(drawn_bk.reshape(n, -1, 4), -1, 0)
    return Counts(*(found[..., 0] if confounder_i is None else found))


def _apart(group_i: Integers, stratum_i: Integers) -> list[Bools]:
    """Pictures (i,) of each set of strata that shares no group with another."""
    n_groups, n_strata = int(group_i.max()) + 1, int(stratum_i.max()) + 1
    part_i = components(group_i, n_groups + stratum_i, n_groups + n_strata)[group_i]
    return [part_i == part for part in np.unique(part_i)]


def _summed(cells_ik: Floats, group_i: Integers) -> Floats:
    """Sums over the pictures of each group that is there (g, k)."""
    number_i = np.unique(group_i, return_inverse=True)[1].ravel()
    return np.stack([np.bincount(number_i, weights=column) for column in cells_ik.T], axis=1)


def _weighted(cells_gk: Floats, n: int, rng: np.random.Generator) -> Floats:
    """Sums over groups of random weights (b, k). Equal groups share one, so that pictures that stand alone cost little.

    Weights of a flat Dirichlet distribution would give a mean 1 / (G + 1) of the groups' variance; these give it
    1 / (G - 1).
    """
    kinds, times = np.unique(cells_gk, axis=0, return_counts=True)
    total = len(cells_gk)
    if total == 1:
        return np.broadcast_to(cells_gk, (n, cells_gk.shape[1]))
    shape, slab = times * max(total - 2, LEAST_SHAPE) / total, max(1, CELLS // len(kinds))
    found_bk = np.empty((n, cells_gk.shape[1]))
    for start in range(0, n, slab):
        weights_bg = rng.gamma(shape, size=(min(slab, n - start), len(kinds)))
        weights_bg *= total / weights_bg.sum(1, keepdims=True)
        found_bk[start : start + slab] = weights_bg @ kinds
    return found_bk


def _design_effect(cells_gk: Floats, n_pictures: int) -> float:
    """The variance of the cells' sums over that of as many independent pictures of the mean weight, at least 1."""
    n_groups, total = len(cells_gk), cells_gk.sum()
    there_gk = cells_gk[:, cells_gk.any(0)]
    if n_groups < 2 or there_gk.shape[1] < 2:
        return 1.0
    share_k = there_gk.sum(0) / total
    off_gk = there_gk - there_gk.sum(1, keepdims=True) * share_k
    variance_k = n_groups / (n_groups - 1) * (off_gk**2).sum(0)
    independent_k = total**2 / n_pictures * share_k
    return max(1.0, float((variance_k / independent_k).sum()) / (len(share_k) - 1))
