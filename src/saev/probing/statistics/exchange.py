"""Which labels may change places if a latent has nothing to do with them.

Shape suffixes: i = pictures, u = units, b = permutations.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import gammaln

from saev.errors import InputError
from saev.probing.statistics.arrays import (
    Bools,
    Floats,
    Integers,
    as_labels,
    as_numbers,
    as_strata,
    in_order,
    same_length,
)
from saev.probing.statistics.scores import ratio


@dataclass(frozen=True)
class Exchange:
    """Labels of units, and the cells within which they change places.

    A group whose pictures all have one label is one unit: its label moves as a whole, to another such group of the same
    strata, of any size, because a label that was given to a specimen was given once. In a group with both labels each
    picture is a unit, and labels change places within the group and stratum. Which groups are of which kind is the same
    after each exchange, so that all arrangements are equally likely under the null hypothesis and the test is exact
    (Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005; Winkler et al., 2015, on blocks).

    Args:
        unit_i: (i,) the unit that a picture's label comes from.
        cell_u: (u,) units of the same number change places.
        y_u: (u,) labels.

    >>> exchange = Exchange.of([1, 1, 0, 0, 1], group_i=["a", "a", "b", "c", "c"])
    >>> exchange.unit_i.tolist(), exchange.y_u.tolist(), exchange.n_arrangements()
    ([0, 0, 1, 2, 3], [True, False, False, True], 4.0)
    """

    unit_i: Integers
    cell_u: Integers
    y_u: Bools

    @classmethod
    def of(cls, y_i: ArrayLike, group_i: ArrayLike | None = None, stratum_i: ArrayLike | None = None) -> Self:
        """Units of pictures that belong to groups (specimen, site, burst) and strata (confounders: class, site).

        A group in several strata changes places with groups in the same ones.

        Args:
            y_i: (i,) labels, 0 or 1.
            group_i: (i,) names or numbers of groups; without them each picture is a group.
            stratum_i: (i,) those of strata; without them all is one.

        Raises:
            InputError: If lengths differ, a label is other than 0 and 1, or no label can change places: all labels are
                equal, or are equal within each stratum.
        """
        y = as_labels(y_i)
        same_length(y.size, labels=y)
        group = as_numbers(group_i, y.size, "groups")
        stratum = as_strata(stratum_i, y.size)
        n_positive, size = np.bincount(group, weights=y), np.bincount(group)
        is_mixed_i = ((n_positive > 0) & (n_positive < size))[group]
        # Units in the order of their first picture; the groups' numbers and the pictures' don't meet.
        unit = in_order(np.where(is_mixed_i, y.size + np.arange(y.size), group))
        strata_of = _strata(group, stratum)
        cell = np.stack([is_mixed_i, np.where(is_mixed_i, group, strata_of[group]), np.where(is_mixed_i, stratum, 0)])
        cell_i = np.unique(cell, axis=1, return_inverse=True)[1].ravel()
        first_u = np.unique(unit, return_index=True)[1]
        found = cls(unit, cell_i[first_u], y[first_u])
        if found.n_arrangements() == 1:
            raise InputError(
                f"no labels of {y.size} pictures in {len(size)} groups and {len(np.unique(stratum))} strata can change "
                "places: both labels must be there within a stratum"
            )
        return found

    def n_arrangements(self) -> float:
        """Distinct arrangements of the labels, up to rounding: no p value is under 1 / this."""
        size, positive = np.bincount(self.cell_u), np.bincount(self.cell_u, weights=self.y_u)
        log = (gammaln(size + 1) - gammaln(positive + 1) - gammaln(size - positive + 1)).sum()
        return float(np.round(np.exp(log), 6)) if log < 700 else float("inf")

    def permuted_units(self, rng: np.random.Generator, n: int) -> Bools:
        """Labels (b, u) of units in n random arrangements, each as likely."""
        place_u = np.argsort(self.cell_u, kind="stable")
        # Random numbers within the cell of each: sorted, the cells stay together and in order.
        order_bu = np.argsort(self.cell_u + rng.random((n, len(self.cell_u))), axis=1)
        found = np.empty(order_bu.shape, dtype=np.bool_)
        found[:, place_u] = self.y_u[order_bu]
        return found

    def permuted(self, rng: np.random.Generator, n: int) -> Bools:
        """Labels (b, i) of pictures in n random arrangements.

        >>> Exchange.of([1, 0, 0]).permuted(np.random.default_rng(0), 2).sum(1).tolist()
        [1, 1]
        """
        return self.permuted_units(rng, n)[:, self.unit_i]

    def moments(self, total_ul: Any, size_u: Floats, mean_l: Floats) -> tuple[Floats, Floats]:
        """Exact mean and variance (l,) over all arrangements of the sum of centred totals over units with the label.

        In a cell of m units, k of them with the label, the mean is k times the mean total, and the variance
        k (m - k) / (m (m - 1)) sum (total - mean total)^2. What rounding leaves of a constant is no variance, but 0.

        Args:
            total_ul: Sparse sums of values over the pictures of each unit.
            size_u: Pictures of each unit.
            mean_l: What is taken off the value of each picture.
        """
        m_c, k_c = np.bincount(self.cell_u), np.bincount(self.cell_u, weights=self.y_u)
        share_c, factor_c = k_c / m_c, ratio(k_c * (m_c - k_c), m_c * (m_c - 1))
        factor_u = factor_c[self.cell_u]
        is_in_cu = sparse.csr_array((np.ones(len(self.cell_u)), (self.cell_u, np.arange(len(self.cell_u)))))
        sum_cl, size_c = sparse.csr_array(is_in_cu @ total_ul), is_in_cu @ size_u
        square_l, squares_of_sizes = total_ul.power(2).T @ factor_u, factor_u @ size_u**2
        variance_l = square_l - sum_cl.power(2).T @ (factor_c / m_c)
        variance_l -= 2 * mean_l * (total_ul.T @ (factor_u * size_u) - sum_cl.T @ (factor_c / m_c * size_c))
        variance_l += mean_l**2 * (squares_of_sizes - (factor_c / m_c) @ size_c**2)
        variance_l[variance_l <= 1e-10 * (square_l + mean_l**2 * squares_of_sizes)] = 0
        return sum_cl.T @ share_c - mean_l * (share_c @ size_c), variance_l


def _strata(group_i: Integers, stratum_i: Integers) -> Integers:
    """A number for each group that is the same for groups in the same set of strata."""
    pairs = np.unique(np.stack([group_i, stratum_i], axis=1), axis=0)
    sets = np.split(pairs[:, 1], np.flatnonzero(np.diff(pairs[:, 0])) + 1)
    numbers: dict[tuple[int, ...], int] = {}
    return np.array([numbers.setdefault(tuple(found.tolist()), len(numbers)) for found in sets], dtype=np.int64)
