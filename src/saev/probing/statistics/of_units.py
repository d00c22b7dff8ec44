"""Observations where pictures belong together, and p values of all latents and attributes for these.

Shape suffixes: i = pictures, u = units, l = latents, j = attributes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from saev.probing.statistics.all_latents import correlations, latent_scores
from saev.probing.statistics.arrays import Bools, Floats, Integers, equal_ones, in_order


def p_of_labels(pooled_il: Any, y_ij: NDArray[np.int8], group_i: Integers) -> Floats:
    """`latent_scores(...).p` (l, j) with a group's pictures as one observation: the mean of their values.

    A group with both labels gives two, its pictures with the attribute and those without it. What these have in common
    makes them more alike than two others, so that the test errs on the safe side.

    Args:
        pooled_il: Sparse array of scipy.
        y_ij: 1 yes, 0 no, -1 unknown.
        group_i: Which group a picture belongs to.
    """
    # The attributes that are known for the same pictures and divide no group share their observations.
    found = np.empty((pooled_il.shape[1], y_ij.shape[1]))
    for unit_i, columns in equal_ones(observations(y_i, group_i) for y_i in y_ij.T):
        y_uj = y_ij[first_pictures(unit_i)][:, columns]
        found[:, columns] = latent_scores(means(pooled_il, unit_i), y_uj).p
    return found


def p_of_numbers(pooled_il: Any, x_ij: Floats, group_i: Integers) -> Floats:
    """`correlations(...).p` (l, j) of the groups' mean values and numbers; NaN numbers are unknown."""
    found = np.empty((pooled_il.shape[1], x_ij.shape[1]))
    for j, x_i in enumerate(x_ij.T):
        unit_i = _numbered(np.where(np.isnan(x_i), -1, group_i))
        x_u = np.bincount(unit_i[unit_i >= 0], weights=x_i[unit_i >= 0]) / np.bincount(unit_i[unit_i >= 0])
        found[:, j] = correlations(means(pooled_il, unit_i), x_u[:, None]).p[:, 0]
    return found


def observations(y_i: NDArray[np.int8], group_i: Integers) -> Integers:
    """The observation that a picture belongs to (i,), -1 where the label is unknown: its group's pictures of its label.

    >>> observations(np.array([1, 1, 0, -1, 0], np.int8), np.array([7, 7, 7, 7, 2])).tolist()
    [0, 0, 1, -1, 2]
    """
    return _numbered(np.where(y_i < 0, -1, 2 * group_i + y_i))


def _numbered(names_i: Integers) -> Integers:
    """Numbers from 0 in the order of the first picture; -1 stays.

    Not in the order of the names: attributes that divide no group get the same numbers whatever their labels are.
    """
    known: Bools = names_i >= 0
    found = np.full(len(names_i), -1, np.int64)
    found[known] = in_order(names_i[known])
    return found


def first_pictures(unit_i: Integers) -> Integers:
    """The first picture of each observation (u,)."""
    units, first = np.unique(unit_i, return_index=True)
    return first[units >= 0]


def means(pooled_il: Any, unit_i: Integers) -> Any:
    """Means of the values of an observation's pictures: a sparse array (u, l)."""
    images = np.flatnonzero(unit_i >= 0)
    size_u = np.bincount(unit_i[images])
    weight_n = 1 / size_u[unit_i[images]]
    shape = (len(size_u), len(unit_i))
    return sparse.csc_array(sparse.csr_array((weight_n, (unit_i[images], images)), shape=shape) @ pooled_il)
