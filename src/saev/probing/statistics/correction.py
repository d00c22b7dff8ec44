"""p values that are corrected for how many hypotheses were tested together."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from saev.errors import InputError
from saev.probing.statistics.arrays import Floats


def holm(p: ArrayLike) -> Floats:
    """Corrected p values that bound the chance of a single false discovery (Holm, 1979).

    With p sorted upwards, p'_k = max over j <= k of (m - j + 1) p_j, at most 1. Valid for any dependence.

    Args:
        p: p values of any shape; nan where there is no test, which does not count and stays nan.

    Returns:
        Corrected values of that shape.

    Raises:
        InputError: If a value is outside of 0 to 1.

    >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.06, 0.06]
    """
    return _of_known(p, _holm)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Q values that bound the expected share of false ones among what is found (Benjamini and Hochberg, 1995).

    With p sorted upwards, q_k = min over j >= k of m p_j / j. For independent or positively dependent tests: a list of
    candidates, not a proof. Arguments and errors are those of `holm`.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    return _of_known(p, false_discovery_control)


def _holm(p: Floats) -> Floats:
    order, found = np.argsort(p), np.empty(len(p))
    found[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return found


def _of_known(p: ArrayLike, correct: Callable[[Floats], Floats]) -> Floats:
    """Corrected values of those that are known, nan of the others."""
    found = np.array(p, dtype=np.float64)
    known = ~np.isnan(found)
    if ((found[known] < 0) | (found[known] > 1)).any():
        raise InputError(f"p values are between 0 and 1, not {found[known].min()} to {found[known].max()}")
    found[known] = correct(found[known])
    return found
