"""The best of many columns of values, and its threshold, on pictures that choose.

Shape suffixes: i = pictures, s = columns.
"""

from typing import Any, NamedTuple

import numpy as np

from saev.probing.controls.pooled_activations import AT_ONCE, dense
from saev.probing.statistics.arrays import Bools, Floats
from saev.probing.statistics.scores import Counts


class Best(NamedTuple):
    """A column that fires above a threshold, and its MCC where it was chosen."""

    column: int
    threshold: float
    mcc: float


def best_column(values_is: Any, y_i: Bools, weights_i: Floats) -> Best:
    """The column and the threshold with the largest MCC; the first one where no column tells pictures apart.

    Args:
        values_is: (i, s), dense or sparse, of any sign.
        y_i: Labels.
        weights_i: For how many pictures each stands.

    >>> best_column(np.array([[0.0, 3], [0, 1], [1, 2], [0, 0]]), np.array([True, False, True, False]), np.ones(4))
    Best(column=1, threshold=1.5, mcc=1.0)
    """
    n, found = len(y_i), Best(0, 0.0, -np.inf)
    step = max(1, AT_ONCE // n)
    for start in range(0, values_is.shape[1], step):
        part = _best(dense(values_is[:, start : start + step]), y_i, weights_i)
        if part.mcc > found.mcc:
            found = part._replace(column=start + part.column)
    return found


def _best(x_is: Floats, y_i: Bools, w_i: Floats) -> Best:
    order_is = np.argsort(-x_is, axis=0)
    x_is = np.take_along_axis(x_is, order_is, axis=0)
    fires_is = np.cumsum(w_i[order_is], axis=0)[:-1]
    tp_is = np.cumsum((w_i * y_i)[order_is], axis=0)[:-1]
    positive, total = w_i @ y_i, w_i.sum()
    fp_is = fires_is - tp_is
    mcc_is = Counts(tp_is, fp_is, positive - tp_is, total - positive - fp_is).mcc()
    mcc_is[x_is[:-1] == x_is[1:]] = -1.0  # between equal values there is no threshold
    place, column = np.unravel_index(int(mcc_is.argmax()), mcc_is.shape)
    return Best(int(column), float(x_is[place : place + 2, column].mean()), float(mcc_is[place, column]))
