"""p values by permutation of labels.

Shape suffixes: i = pictures, u = units that change places, l = latents, b = permutations.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from saev.errors import InputError
from saev.probing.statistics.arrays import Bools, Floats, as_labels, as_weights, same_length
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.scores import Counts

CELLS: Final = 2**21
"""Bound of pictures, or latents, x permutations that are held at once."""
ROUNDING: Final = 1e-10
"""Statistics that differ by less, or by this share, count as equal: they are the same sums in another order."""


class Tested(NamedTuple):
    """A statistic as observed, and its p value."""

    observed: float
    p: float


def p_value(observed: float, draws_b: ArrayLike) -> float:
    """(1 + #{draws >= observed}) / (B + 1): exact, and never 0 (Phipson and Smyth, 2010).

    Args:
        observed: The statistic of the labels as they are; large values speak for the claim.
        draws_b: (b,) those of permuted labels.

    >>> p_value(2.0, [0.0, 1.0, 2.0])
    0.5
    """
    draws = np.asarray(draws_b, dtype=np.float64)
    return float((1 + np.count_nonzero(draws >= _just_under(observed))) / (draws.size + 1))


def mcc_of_labels(fires_i: ArrayLike, y_bi: Bools, weights_i: ArrayLike | None = None) -> Floats:
    """`Counts.mcc` of one latent for each of many vectors of labels (b, i), as (b,).

    Raises:
        InputError: If lengths differ.

    >>> mcc_of_labels([1, 1, 0, 0], np.array([[1, 1, 0, 0], [0, 0, 1, 1]], bool)).tolist()
    [1.0, -1.0]
    """
    fires = as_labels(fires_i, "values of firing")
    same_length(y_bi.shape[1], firing=fires)
    w = as_weights(weights_i, fires.size)
    y = y_bi.astype(np.float64)
    tp_b, positive_b, all_fires = y @ (w * fires), y @ w, w @ fires
    rest = (np.maximum(left, 0) for left in (all_fires - tp_b, positive_b - tp_b))
    fp_b, fn_b = rest
    tn_b = np.maximum(w.sum() - all_fires - fn_b, 0)
    found: Floats = Counts(tp_b, fp_b, fn_b, tn_b).mcc()
    return found


def permutation_test(
    fires_i: ArrayLike,
    exchange: Exchange,
    n: int,
    rng: np.random.Generator,
    weights_i: ArrayLike | None = None,
) -> Tested:
    """Test whether a latent fires more often where the label is: MCC, one-sided, and its permutation p.

    Weights stay with the pictures: a sample that was drawn by the latent's values is as exchangeable as the population.
    For the claim that it does not fire, give ~fires.

    Args:
        fires_i: (i,) whether the latent fires, at a threshold that these labels did not choose.
        exchange: Labels, and how they change places.
        n: Permutations; p is at least 1 / (n + 1).
        rng: Where chance comes from.
        weights_i: (i,) weights of the pictures, 1 without them.

    Raises:
        InputError: If lengths differ, or a weight is negative.

    >>> fires = [1] * 10 + [0] * 10
    >>> permutation_test(fires, Exchange.of(fires), 999, np.random.default_rng(0))
    Tested(observed=1.0, p=0.001)
    """
    y_1i = exchange.y_u[exchange.unit_i][None]
    observed = float(mcc_of_labels(fires_i, y_1i, weights_i)[0])
    slab = max(1, CELLS // y_1i.size)
    draws = [
        mcc_of_labels(fires_i, exchange.permuted(rng, min(slab, n - start)), weights_i) for start in range(0, n, slab)
    ]
    return Tested(observed, p_value(observed, np.concatenate(draws)))


def max_t(
    pooled_il: Any,
    exchange: Exchange,
    n: int,
    rng: np.random.Generator,
    progress: Callable[[int], object] | None = None,
) -> Floats:
    """P values of all latents for one attribute, corrected for having looked at all of them, as (l,).

    Westfall and Young's maxT (1993): p_l = (1 + #{max over all latents of T* >= T_l}) / (B + 1), which bounds the
    chance of a single false discovery whatever the dependence among latents. T is the covariance of value and label
    less its mean over all arrangements, over its standard deviation over them, both exact. One-sided: large values go
    with the label.

    Args:
        pooled_il: Sparse array of scipy; what it does not store is 0.
        exchange: Labels, and how they change places.
        n: Permutations, about 1,000 for any number of latents.
        rng: Where chance comes from.
        progress: Is called with the number of further permutations that are done.

    Raises:
        InputError: If the pictures differ in number.

    >>> pooled = sparse.csc_array(np.array([[0.0, 1], [0, 2], [0, 0], [3, 0], [4, 2], [5, 1]]))
    >>> max_t(pooled, Exchange.of([0, 0, 0, 1, 1, 1]), 199, np.random.default_rng(0)).round(2).tolist()
    [0.02, 0.82]
    """
    pooled = sparse.csr_array(pooled_il)
    if pooled.shape[0] != len(exchange.unit_i):
        raise InputError(f"values are of {pooled.shape[0]} pictures, and labels of {len(exchange.unit_i)}")
    statistic = _Standardised.of(pooled, exchange)
    observed_l = statistic.values(exchange.y_u[None])[:, 0]
    slab = max(1, CELLS // max(len(exchange.y_u), pooled.shape[1]))
    largest_b = np.empty(n)
    for start in range(0, n, slab):
        y_bu = exchange.permuted_units(rng, min(slab, n - start))
        largest_b[start : start + len(y_bu)] = statistic.values(y_bu).max(0)
        if progress is not None:
            progress(len(y_bu))
    largest_b.sort()
    n_above_l = n - np.searchsorted(largest_b, _just_under(observed_l), side="left")
    found: Floats = (1 + n_above_l) / (n + 1)
    return found


def _just_under(observed: Any) -> Any:
    return observed - ROUNDING * np.maximum(1, np.abs(observed))


class _Standardised(NamedTuple):
    """The covariance of each latent with the labels, standardised over all arrangements.

    Args:
        total_lu: Sparse sums of each latent's values over the pictures of each unit.
        mean_l: Mean value of a picture.
        size_u: Pictures of each unit.
        expected_l: Mean over the arrangements of the sum of centred values of pictures with the label.
        deviation_l: Its standard deviation; 0 where it is constant.
    """

    total_lu: Any
    mean_l: Floats
    size_u: Floats
    expected_l: Floats
    deviation_l: Floats

    @classmethod
    def of(cls, pooled_il: Any, exchange: Exchange) -> "_Standardised":
        n = pooled_il.shape[0]
        is_in_ui = sparse.csr_array((np.ones(n), (exchange.unit_i, np.arange(n))), shape=(len(exchange.y_u), n))
        total_ul = sparse.csc_array(is_in_ui @ pooled_il.astype(np.float64))
        size_u, mean_l = is_in_ui.sum(1), total_ul.sum(0) / n
        expected_l, variance_l = exchange.moments(total_ul, size_u, mean_l)
        return cls(sparse.csr_array(total_ul.T), mean_l, size_u, expected_l, np.sqrt(variance_l))

    def values(self, y_bu: Bools) -> Floats:
        """(l, b); a latent that is constant is under all others."""
        y_ub = np.ascontiguousarray(y_bu.T, dtype=np.float64)
        found_lb = self.total_lu @ y_ub
        found_lb -= self.mean_l[:, None] * (self.size_u @ y_ub)
        found_lb -= self.expected_l[:, None]
        found_lb /= np.where(self.deviation_l > 0, self.deviation_l, 1)[:, None]
        found_lb[self.deviation_l == 0] = -np.inf
        return np.asarray(found_lb)
