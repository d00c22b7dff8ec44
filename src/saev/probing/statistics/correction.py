"""p values that are corrected for how many hypotheses were tested together."""

import numpy as np
from numpy.typing import ArrayLike

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
    values, order = _sorted(p)
    factors = np.arange(values.size, 0, -1)
    return _back(p, order, np.maximum.accumulate(values * factors))


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Q values that bound the expected share of false ones among what is found (Benjamini and Hochberg, 1995).

    With p sorted upwards, q_k = min over j >= k of m p_j / j. For independent or positively dependent tests: a list of
    candidates, not a proof. Arguments and errors are those of `holm`.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(4).tolist()
    [0.03, 0.04, 0.04]
    """
    values, order = _sorted(p)
    scaled = values * values.size / np.arange(1, values.size + 1)
    return _back(p, order, np.minimum.accumulate(scaled[::-1])[::-1])


def _sorted(p: ArrayLike) -> tuple[Floats, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """The known p values from the smallest, and where each is in the flat array."""
    flat = np.asarray(p, dtype=np.float64).ravel()
    known = np.flatnonzero(~np.isnan(flat))
    if ((flat[known] < 0) | (flat[known] > 1)).any():
        raise InputError(f"p values are between 0 and 1, not {flat[known].min()} to {flat[known].max()}")
    order = known[np.argsort(flat[known], kind="stable")]
    return flat[order], order


def _back(p: ArrayLike, order: np.ndarray[tuple[int], np.dtype[np.intp]], values: Floats) -> Floats:
    shape = np.shape(p)
    found = np.full(int(np.prod(shape)), np.nan)
    found[order] = np.minimum(values, 1)
    return found.reshape(shape)
