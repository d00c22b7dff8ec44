"""maxT for many attributes at once: their labels move together.

Shape suffixes: u = units that change places, l = latents, j = attributes, d = distinct numbers of units with a label,
n = stored values.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from saev.probing.statistics.arrays import Bools, Floats, Integers
from saev.probing.statistics.permutation import p_value
from saev.probing.statistics.scores import ratio


def max_t_of_many(
    total_ul: Any,
    size_u: Integers,
    y_uj: Bools,
    latent_j: Integers,
    n: int,
    rng: np.random.Generator,
    progress: Callable[[int], object] | None = None,
) -> Floats:
    """P values (j,) of one latent of each attribute, corrected for having looked at all latents, for either sign.

    `max_t` with the largest |T| over all latents, for units that all may change places. The label of k units then goes
    to k random ones, whatever the attribute is: one random order of the units serves all attributes, the first k of it
    are those with the label. So a permutation costs one pass over the values, not one for each attribute.

    Args:
        total_ul: Sparse sums of each latent's values over the pictures of a unit, none below 0.
        size_u: Pictures of each unit.
        y_uj: Whether a unit has the label; both kinds are there.
        latent_j: Which latent.
        n: Permutations.
        rng: Where chance comes from.
        progress: Is called with 1 after each permutation.

    >>> total = sparse.csc_array(np.array([[0.0, 1], [0, 2], [0, 0], [3, 0], [4, 2], [5, 1]]))
    >>> y = np.array([[0], [0], [0], [1], [1], [1]], dtype=bool)
    >>> max_t_of_many(total, np.ones(6, int), y, np.array([0]), 199, np.random.default_rng(0)).round(1)
    array([0.1])
    """
    total = sparse.csc_array(total_ul).astype(np.float64)
    k_j = y_uj.sum(0)
    k_d, of_j = np.unique(k_j, return_inverse=True)
    centred = _Centred.of(total, size_u, k_d)
    observed_j = np.array([centred.one(total, y_uj[:, j], int(latent_j[j]), int(of_j[j])) for j in range(len(k_j))])
    largest_nd = np.empty((n, len(k_d)))
    for number in range(n):
        place_u = rng.permutation(len(size_u))
        largest_nd[number] = centred.largest(np.searchsorted(k_d, place_u, side="right"))
        if progress is not None:
            progress(1)
    return np.array([p_value(float(observed_j[j]), largest_nd[:, of_j[j]]) for j in range(len(k_j))])


class _Centred(NamedTuple):
    """Sums over units, and what standardises them.

    Args:
        unit_n: The unit of each stored value.
        begin_n: Where the cells of its latent begin.
        value_n: The values.
        size_u: Pictures of each unit.
        mean_l: Mean value of a picture: less it, the sums over all units add up to 0, their mean over all arrangements.
        per_sd_l: 1 over the deviation of a latent, 0 where it is constant.
        per_sd_d: Likewise of the number of units with the label.
    """

    unit_n: NDArray[np.integer[Any]]
    begin_n: Integers
    value_n: Floats
    size_u: Integers
    mean_l: Floats
    per_sd_l: Floats
    per_sd_d: Floats

    @classmethod
    def of(cls, total_ul: Any, size_u: Integers, k_d: Integers) -> "_Centred":
        m = len(size_u)
        mean_l = total_ul.sum(0) / size_u.sum()
        of_zeros = (size_u.astype(np.float64) ** 2).sum() * mean_l**2
        squares_l = total_ul.power(2).sum(0)
        square_l = squares_l - 2 * mean_l * (total_ul.T @ size_u) + of_zeros
        square_l[square_l <= 1e-10 * (squares_l + of_zeros)] = 0  # A constant, up to rounding.
        latent_n = np.repeat(np.arange(total_ul.shape[1]), np.diff(total_ul.indptr))
        return cls(
            total_ul.indices,
            latent_n * (len(k_d) + 1),
            total_ul.data,
            size_u,
            mean_l,
            ratio(1, np.sqrt(square_l)),
            1 / np.sqrt(k_d * (m - k_d) / (m * (m - 1))),
        )

    def one(self, total_ul: Any, y_u: Bools, latent: int, d: int) -> float:
        """|T| of a latent with the labels as they are."""
        total = total_ul[:, [latent]].toarray()[:, 0][y_u].sum() - self.mean_l[latent] * self.size_u[y_u].sum()
        return float(abs(total) * self.per_sd_l[latent] * self.per_sd_d[d])

    def largest(self, segment_u: Integers) -> Floats:
        """The largest |T| (d,), where the units of a segment up to d have the label."""
        shape = len(self.mean_l), len(self.per_sd_d) + 1
        sums = np.bincount(self.begin_n + segment_u[self.unit_n], weights=self.value_n, minlength=shape[0] * shape[1])
        sum_ld = sums.reshape(shape)[:, :-1].cumsum(1)
        size_d = np.bincount(segment_u, weights=self.size_u, minlength=shape[1])[:-1].cumsum()
        sum_ld -= self.mean_l[:, None] * size_d
        sum_ld *= self.per_sd_l[:, None]
        found: Floats = np.maximum(sum_ld.max(0), -sum_ld.min(0)) * self.per_sd_d
        return found
