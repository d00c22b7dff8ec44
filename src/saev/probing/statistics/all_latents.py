"""All latents against all attributes, from sparse values.

Shape suffixes: i = pictures, l = latents, j = attributes, s = steps, the distinct values of a latent from the largest
to the smallest.

Each latent's non-zero values are sorted once, and hits of all attributes are summed up along them; pictures with 0 are
one step. No array of latents x pictures x attributes is made.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from saev.errors import InputError
from saev.probing.statistics import tails
from saev.probing.statistics.arrays import Floats, Integers, equal_ones
from saev.probing.statistics.scores import ratio

Singles = NDArray[np.float32]
CELLS = 2**22  # Bound of pictures x attributes, or of latents x pictures, that are held as float64 at once.


@dataclass(frozen=True)
class LatentScores:
    """Scores of each latent for each attribute, each (l, j) float32.

    Args:
        mcc: The largest over all thresholds at which some pictures fire and others do not; 0 for a latent whose values
            are all equal, which never fires.
        threshold: Of that: the latent fires above it. It is the largest value that does not fire.
        f1: At that threshold.
        lowest_mcc: The smallest over all thresholds: the largest for the opposite label, with its sign turned.
        lowest_threshold: Of that.
        correlation: Of the values with the label; 0 where one of them is constant.
        average_precision: nan where no label is there. Chance is the prevalence.
        auroc: nan where all labels are equal.
        p: Two-sided, of the rank sum (the test of AUROC against 1/2); nan where all labels are equal.
    """

    mcc: Singles
    threshold: Singles
    f1: Singles
    lowest_mcc: Singles
    lowest_threshold: Singles
    correlation: Singles
    average_precision: Singles
    auroc: Singles
    p: Singles


class Correlations(NamedTuple):
    """Pearson's correlation of each latent with each attribute and its two-sided p, each (l, j) float64."""

    r: Floats
    p: Floats


def latent_scores(pooled_il: Any, y_ij: ArrayLike, progress: Callable[[int], object] | None = None) -> LatentScores:
    """Score every latent for every yes-or-no attribute; equal to `scores` of each pair.

    The best threshold is chosen on these very pictures, so that `mcc` and `f1` are for choosing among hypotheses, not
    for judging them. For the claim that a latent does not fire look at `lowest_mcc`. p is `tails.of_rank_sum`.

    Args:
        pooled_il: Sparse array of scipy; what it does not store is 0. Values may be negative.
        y_ij: 1 yes, 0 no, -1 unknown. Pictures with an unknown label count for no score of that attribute. Attributes
            that are known for the same pictures are scored together, which is fast.
        progress: Is called with the number of further pairs that are done.

    Raises:
        InputError: If the pictures differ in number, or labels are other than -1, 0 and 1.

    >>> pooled = sparse.csc_array(np.array([[0.0, 1], [0, 2], [3, 0], [4, 0]]))
    >>> found = latent_scores(pooled, np.array([[0], [0], [1], [1]]))
    >>> found.mcc.ravel().tolist(), found.auroc.ravel().tolist(), found.threshold.ravel().tolist()
    ([1.0, -0.5773502588272095], [1.0, 0.0], [0.0, 1.0])
    """
    pooled, y = sparse.csc_array(pooled_il), np.asarray(y_ij)
    if y.ndim != 2 or len(y) != pooled.shape[0] or not np.isin(y, (-1, 0, 1)).all():
        raise InputError(
            f"labels are of shape (pictures, attributes) and -1, 0 or 1: got shape {y.shape} "
            f"for {pooled.shape[0]} pictures, and values {np.unique(y)[:5]}"
        )
    shape = (pooled.shape[1], y.shape[1])
    found = LatentScores(*(np.full(shape, empty, np.float32) for empty in (0,) * 6 + (np.nan,) * 3))
    found.correlation[:] = correlations(pooled, np.where(y < 0, np.nan, y)).r
    for known_i, columns in equal_ones((y >= 0).T):
        if not known_i.any():
            continue
        values, labels = pooled[known_i], y[known_i].astype(np.float64)
        step = max(1, CELLS // max(1, len(labels)))
        for start in range(0, len(columns), step):
            part = columns[start : start + step]
            _score(values, labels[:, part], found, part, progress)
    return found


def correlations(pooled_il: Any, x_ij: ArrayLike) -> Correlations:
    """Correlate every latent with every attribute that is a number.

    r = cov / (sd sd) over the pictures for which the attribute is known; p by Student's t of n - 2 degrees of freedom,
    which is exact for any latent where the attribute is normally distributed.

    Args:
        pooled_il: Sparse array of scipy; what it does not store is 0.
        x_ij: Numbers, nan where unknown.

    Raises:
        InputError: If the pictures differ in number, or a number is infinite.

    >>> found = correlations(sparse.csc_array(np.array([[1.0], [2], [3], [0]])), np.array([[2.0], [4], [6], [0]]))
    >>> found.r.round(6).tolist()
    [[1.0]]
    """
    pooled, x = sparse.csc_array(pooled_il), np.asarray(x_ij, dtype=np.float64)
    if x.ndim != 2 or len(x) != pooled.shape[0] or np.isinf(x).any():
        raise InputError(
            f"numbers are of shape (pictures, attributes) and finite: got shape {x.shape} "
            f"for {pooled.shape[0]} pictures"
        )
    r, n_j = np.zeros((pooled.shape[1], x.shape[1])), np.count_nonzero(~np.isnan(x), axis=0)
    for known_i, columns in equal_ones(~np.isnan(x).T):
        r[:, columns] = _correlations(pooled[known_i], x[np.ix_(known_i, columns)])
    return Correlations(r, tails.of_correlation(r, n_j.astype(np.float64)))


def _correlations(pooled_il: Any, x_ij: Floats) -> Floats:
    """Correlations (l, j) where all is known. Both are centred before anything is squared, zeros too."""
    n = len(x_ij)
    if not n:
        return np.zeros((pooled_il.shape[1], x_ij.shape[1]))
    centred_ij = np.where(np.ptp(x_ij, axis=0) == 0, 0, x_ij - x_ij.mean(0))
    centred_ij -= centred_ij.mean(0)  # What rounding left of large means.
    part = pooled_il.astype(np.float64)
    together_lj = part.T @ centred_ij  # The means of the latents drop out: what is centred adds up to 0.
    stored_l, mean_l = np.diff(part.indptr), part.sum(0) / n
    part.data = (part.data - np.repeat(mean_l, stored_l)) ** 2
    square_l = part.sum(0) + mean_l**2 * (n - stored_l)
    square_l[square_l <= n * (1e-13 * mean_l) ** 2] = 0  # A constant, up to rounding.
    r_lj: Floats = ratio(together_lj, np.sqrt(square_l[:, None] * (centred_ij**2).sum(0)))
    return np.clip(r_lj, -1, 1)


class _Steps(NamedTuple):
    """A latent's distinct values downwards, the pictures that have each, and those of them with each label."""

    value_s: Floats
    size_s: Floats
    hits_sj: Floats


def _steps(value_n: Floats, y_nj: Floats, positive_j: Floats, n: int) -> _Steps:
    """From the values that are stored; the other pictures have 0."""
    order = np.argsort(-value_n, kind="stable")
    value_s, hits_sj, size_s = value_n[order], y_nj[order], np.ones(len(order))
    if n > len(order):
        place = int(np.count_nonzero(value_n > 0))
        rest_j = positive_j - hits_sj.sum(0)
        value_s = np.insert(value_s, place, 0)
        size_s = np.insert(size_s, place, n - len(order))
        hits_sj = np.concatenate([hits_sj[:place], rest_j[None], hits_sj[place:]])
    first_s = np.flatnonzero(np.append(True, value_s[1:] != value_s[:-1]))
    if len(first_s) < len(value_s):
        value_s, size_s = value_s[first_s], np.add.reduceat(size_s, first_s)
        hits_sj = np.add.reduceat(hits_sj, first_s, axis=0)
    return _Steps(value_s, size_s, hits_sj)


class _Extreme(NamedTuple):
    """Steps (j,) after which firing ends so that MCC is largest, or smallest, and the MCC."""

    step_j: Integers
    mcc_j: Floats


def _extremes(tp_sj: Floats, size_s: Floats, positive_j: Floats) -> tuple[_Extreme, _Extreme]:
    """Where MCC is largest, and where it is smallest.

    MCC = (n TP - K n1) / sqrt(K (n - K) n1 n0) where K pictures fire.
    """
    n = size_s[-1]
    if len(size_s) == 1:
        none = _Extreme(np.zeros(len(positive_j), np.int64), np.zeros(len(positive_j)))
        return none, none
    fires_s = size_s[:-1, None]
    mcc_sj = n * tp_sj[:-1]
    mcc_sj -= fires_s * positive_j
    mcc_sj /= np.sqrt(fires_s * (n - fires_s))
    every_j, below_j = np.arange(len(positive_j)), np.sqrt(positive_j * (n - positive_j))
    best_j, worst_j = mcc_sj.argmax(0), mcc_sj.argmin(0)
    return (
        _Extreme(best_j, ratio(mcc_sj[best_j, every_j], below_j)),
        _Extreme(worst_j, ratio(mcc_sj[worst_j, every_j], below_j)),
    )


def _score(
    pooled_il: Any, y_ij: Floats, found: LatentScores, columns: Integers, progress: Callable[[int], object] | None
) -> None:
    """Write all scores but the correlation of these attributes, which are known for all pictures."""
    n, n_latents, every_j = len(y_ij), pooled_il.shape[1], np.arange(len(columns))
    positive_j = y_ij.sum(0)
    s_lj, square_l1, cube_l1 = np.zeros((n_latents, len(columns))), np.zeros((n_latents, 1)), np.zeros((n_latents, 1))
    for latent in range(n_latents):
        stored = slice(pooled_il.indptr[latent], pooled_il.indptr[latent + 1])
        steps = _steps(pooled_il.data[stored], y_ij[pooled_il.indices[stored]], positive_j, n)
        tp_sj, size_s = np.cumsum(steps.hits_sj, axis=0), np.cumsum(steps.size_s)
        rank_s = (n + steps.size_s) / 2 - size_s
        s_lj[latent] = rank_s @ steps.hits_sj
        square_l1[latent], cube_l1[latent] = steps.size_s @ rank_s**2, steps.size_s @ rank_s**3
        best, worst = _extremes(tp_sj, size_s, positive_j)
        found.mcc[latent, columns], found.lowest_mcc[latent, columns] = best.mcc_j, worst.mcc_j
        if len(size_s) > 1:
            found.f1[latent, columns] = 2 * tp_sj[best.step_j, every_j] / (size_s[best.step_j] + positive_j)
        found.threshold[latent, columns] = steps.value_s[np.minimum(best.step_j + 1, len(size_s) - 1)]
        found.lowest_threshold[latent, columns] = steps.value_s[np.minimum(worst.step_j + 1, len(size_s) - 1)]
        tp_sj /= size_s[:, None]
        found.average_precision[latent, columns] = np.einsum("sj,sj->j", tp_sj, steps.hits_sj)
        if progress is not None:
            progress(len(columns))
    none_j, pairs_j = positive_j == 0, positive_j * (n - positive_j)
    found.average_precision[:, columns] /= np.where(none_j, np.nan, positive_j)
    found.auroc[:, columns] = 0.5 + s_lj / np.where(pairs_j == 0, np.nan, pairs_j)
    found.p[:, columns] = tails.of_rank_sum(s_lj, positive_j, n, square_l1, cube_l1)
