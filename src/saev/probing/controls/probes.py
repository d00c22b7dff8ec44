"""Probes: combinations of columns that are fitted to the labels of the proposal half.

Shape suffixes: i = pictures, s = columns, a = the columns of a sparse probe.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from scipy import sparse

from saev.probing.controls.pooled_activations import dense
from saev.probing.statistics.arrays import Bools, Floats, Integers
from saev.probing.statistics.scores import average_precision, ratio

N_FOLDS: Final = 5
STRENGTHS: Final = (0.001, 0.01, 0.1)
"""C of the linear probe, of which one is chosen; columns are standardised and outnumber most samples."""
C_OF_SPARSE: Final = 1.0
MAX_STEPS: Final = 1000

Fit = Callable[[Any, Bools], Callable[[Any], Floats]]
"""From values (i, s) and labels of some pictures to what scores values of others."""


class Probed(NamedTuple):
    """Scores of a probe."""

    fitted_i: Floats  # Of the pictures that it was fitted on, each by a probe that was fitted on the other folds.
    others_i: Floats  # Of other pictures, by the probe that was fitted on all.


def folds(y_i: Bools, group_i: Integers, rng: np.random.Generator) -> Integers | None:
    """Folds (i,) that part no group, each with about as many groups that have the label; None for too few groups.

    >>> folds(np.array([True, True, False, False]), np.arange(4), np.random.default_rng(0)).tolist()
    [0, 1, 0, 1]
    """
    groups, number_i = np.unique(group_i, return_inverse=True)
    has_g = np.bincount(number_i, weights=y_i) > 0
    lacks_g = np.bincount(number_i, weights=~y_i) > 0
    n = min(N_FOLDS, int(has_g.sum()), int(lacks_g.sum()))
    fold_g = np.empty(len(groups), np.int64)
    start = 0
    for kind in (has_g & lacks_g, has_g & ~lacks_g, ~has_g):
        own = rng.permutation(np.flatnonzero(kind))
        fold_g[own] = (start + np.arange(len(own))) % max(1, n)
        start += len(own)
    fold_i = fold_g[number_i]
    sides = [y_i[fold_i != fold] for fold in range(n)]
    return fold_i if n > 1 and all(side.any() and not side.all() for side in sides) else None


def probed(fit: Fit, x_is: Any, y_i: Bools, fold_i: Integers, others_is: Any) -> Probed:
    """Fit a probe, and score pictures by it that it has not seen."""
    fitted_i = np.empty(len(y_i))
    for fold in np.unique(fold_i):
        out_i = fold_i == fold
        fitted_i[out_i] = fit(x_is[~out_i], y_i[~out_i])(x_is[out_i])
    return Probed(fitted_i, fit(x_is, y_i)(others_is))


def best_linear(x_is: Floats, y_i: Bools, w_i: Floats, fold_i: Integers, others_is: Floats) -> tuple[Probed, float]:
    """The linear probe whose strength of regularisation ranks the left-out folds best, and that strength (C)."""
    found = {c: probed(linear(c), x_is, y_i, fold_i, others_is) for c in STRENGTHS}
    best = max(STRENGTHS, key=lambda c: average_precision(found[c].fitted_i, y_i, w_i))
    return found[best], best


def linear(c: float) -> Fit:
    """Logistic regression (L2) on standardised columns."""

    def fit(x_is: Any, y_i: Bools) -> Callable[[Any], Floats]:
        # Here and not above: it takes a second to import.
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=MAX_STEPS))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the scores rank all the same
            model.fit(x_is, y_i)
        score: Callable[[Any], Floats] = model.decision_function
        return score

    return fit


def class_means(x_is: Any, y_i: Bools) -> Callable[[Any], Floats]:
    """The difference of the means of pictures with and without the label, of standardised columns, as a direction."""
    mean_s, deviation_s = x_is.mean(0), x_is.std(0)
    difference_s = ratio(x_is[y_i].mean(0) - x_is[~y_i].mean(0), deviation_s**2)

    def score(others_is: Any) -> Floats:
        found: Floats = (others_is - mean_s) @ difference_s
        return found

    return score


def sparse_linear(k: int) -> Fit:
    """Logistic regression on k columns, chosen by `most_telling`."""

    def fit(x_is: Any, y_i: Bools) -> Callable[[Any], Floats]:
        columns = most_telling(x_is, y_i, k)
        score = linear(C_OF_SPARSE)(dense(x_is[:, columns]), y_i)
        return lambda others_is: score(dense(others_is[:, columns]))

    return fit


def most_telling(x_is: Any, y_i: Bools, k: int) -> Sequence[int]:
    """K columns, one after the other: each time that which correlates most with what the others leave of the label.

    Orthogonal matching pursuit (Pati et al., 1993) on standardised columns; fewer where nothing is left.

    Args:
        x_is: Values, dense or sparse.
        y_i: Labels.
        k: At most so many.

    >>> most_telling(np.array([[1.0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]]), np.array([1, 1, 0, 0], bool), 2)
    [0, 2]
    """
    n = len(y_i)
    mean_s, deviation_s = mean_and_deviation(x_is)
    target_i = y_i - y_i.mean()
    left_i = target_i
    chosen: list[int] = []
    while len(chosen) < min(k, n - 2):
        telling_s = np.abs(ratio(x_is.T @ left_i, deviation_s))
        telling_s[chosen] = 0
        best = int(telling_s.argmax())
        if telling_s[best] <= 1e-9 * n:
            break
        chosen.append(best)
        own_ia = ratio(dense(x_is[:, chosen]) - mean_s[chosen], deviation_s[chosen])
        left_i = target_i - own_ia @ np.linalg.lstsq(own_ia, target_i, rcond=None)[0]
    return chosen


def mean_and_deviation(x_is: Any) -> tuple[Floats, Floats]:
    """Mean and standard deviation (s,) of columns, dense or sparse; 0 for what is constant up to rounding."""
    mean_s = np.asarray(x_is.mean(0)).ravel()
    square_s = np.asarray((x_is.power(2) if sparse.issparse(x_is) else x_is**2).mean(0)).ravel()
    deviation_s = np.sqrt(np.maximum(square_s - mean_s**2, 0))
    deviation_s[deviation_s <= 1e-6 * np.sqrt(square_s)] = 0
    return mean_s, deviation_s
