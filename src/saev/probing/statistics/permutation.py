"""p values by permutation of labels.

Shape suffixes: i = pictures, b = permutations.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from saev.probing.statistics.arrays import Bools, Floats, as_labels, as_weights, same_length
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.scores import Counts

CELLS: Final = 2**21
"""Bound of pictures x permutations that are held at once."""
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
    return float((1 + np.count_nonzero(draws >= observed - ROUNDING * max(1, abs(observed)))) / (draws.size + 1))


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
