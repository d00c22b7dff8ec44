"""maxT: p values of the best latents, corrected for having looked at all of them.

Shape suffixes: i = pictures, u = units that change places, c = cells within which they do, l = latents, j = attributes,
d = distinct numbers of units with a label, n = stored values.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from saev.errors import InputError
from saev.probing.statistics.arrays import Floats, Integers
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.permutation import p_value
from saev.probing.statistics.scores import ratio

FEW: Final = 4
"""Distinct numbers of units with a label up to which a product is faster than sums by segments."""


def max_t(
    pooled_il: Any,
    exchanges: Sequence[Exchange],
    latent_j: Sequence[int] | Integers,
    sign_j: Sequence[int] | Integers | None,
    n: int,
    rng: np.random.Generator,
    progress: Callable[[int], object] | None = None,
) -> Floats:
    """P values (j,) of one latent of each attribute, corrected for having looked at all latents and both signs.

    Westfall and Young's maxT (1993): p = (1 + #{max over all latents of |T*| >= s T}) / (B + 1), which bounds the
    chance of a single false discovery whatever the dependence among latents. T is the covariance of value and label
    less its mean over all arrangements, over its standard deviation over them, both exact.

    One random order of the units serves all attributes, the first k of it are those with the label: a permutation costs
    one pass over the values, not one for each attribute.

    Args:
        pooled_il: Sparse array of scipy; what it does not store is 0.
        exchanges: The labels of each attribute, and how they change places. All have the same units in the same cells;
            of several cells all have as many labels in each.
        latent_j: Which latent.
        sign_j: Which sign s is claimed, 1 or -1: where T has the other one, nothing speaks for the claim. None takes
            the sign of T.
        n: Permutations, about 1,000 for any number of latents.
        progress: Is called with 1 after each permutation.

    Raises:
        InputError: If the pictures differ in number.

    >>> pooled = sparse.csc_array(np.array([[0.0, 1], [0, 2], [0, 0], [3, 0], [4, 2], [5, 1]]))
    >>> max_t(pooled, [Exchange.of([0, 0, 0, 1, 1, 1])], [0], None, 199, np.random.default_rng(0)).round(1)
    array([0.1])
    """
    first, n_pictures = exchanges[0], pooled_il.shape[0]
    if n_pictures != len(first.unit_i):
        raise InputError(f"values are of {n_pictures} pictures, and labels of {len(first.unit_i)}")
    is_in_ui = sparse.csr_array((np.ones(n_pictures), (first.unit_i, np.arange(n_pictures))))
    total_ul = sparse.csc_array(is_in_ui @ pooled_il.astype(np.float64))
    k_jc = np.array([np.bincount(one.cell_u, weights=one.y_u) for one in exchanges])
    k_dc, example_d, of_j = np.unique(k_jc, axis=0, return_index=True, return_inverse=True)
    assert 1 in k_dc.shape, "labels of several cells are as many"
    statistic = _Standardised.of(total_ul, is_in_ui.sum(1), [exchanges[j] for j in example_d])
    t_j = [
        statistic.one(total_ul[:, [latent]].toarray()[:, 0], one.y_u, latent, d)
        for one, latent, d in zip(exchanges, map(int, latent_j), of_j.ravel().tolist(), strict=True)
    ]
    observed_j = np.abs(t_j) if sign_j is None else np.multiply(t_j, sign_j)
    size_c = np.bincount(first.cell_u)
    begin_u = np.repeat(np.cumsum(size_c) - size_c, size_c)  # where the cells begin, in their order
    place_u, largest_nd = np.empty(len(begin_u), np.int64), np.empty((n, len(k_dc)))
    for number in range(n):
        # Random numbers within the cell of each: sorted, the cells stay together and in order.
        place_u[np.argsort(first.cell_u + rng.random(len(place_u)))] = np.arange(len(place_u)) - begin_u
        largest_nd[number] = statistic.largest((place_u >= k_dc[:, first.cell_u]).sum(0))
        if progress is not None:
            progress(1)
    return np.array([p_value(one, largest_nd[:, d]) for one, d in zip(observed_j.tolist(), of_j.ravel(), strict=True)])


class _Standardised(NamedTuple):
    """Sums over units, and what standardises them.

    Args:
        total_lu: Sparse sums of each latent's values over the pictures of a unit.
        begin_n: Where the sums of the latent of a stored value begin, in `largest`.
        size_u: Pictures of each unit.
        mean_l: Mean value of a picture, which is taken off.
        expected_ld: Mean over the arrangements of the sum over units with the label.
        per_sd_ld: 1 over its standard deviation, 0 where it is constant.
    """

    total_lu: Any
    begin_n: Integers
    size_u: Floats
    mean_l: Floats
    expected_ld: Floats
    per_sd_ld: Floats

    @classmethod
    def of(cls, total_ul: Any, size_u: Floats, exchanges: Sequence[Exchange]) -> "_Standardised":
        mean_l, total_lu = total_ul.sum(0) / size_u.sum(), sparse.csr_array(total_ul.T)
        moments = [one.moments(total_ul, size_u, mean_l) for one in exchanges]
        expected_ld, variance_ld = (np.stack(some, axis=1) for some in zip(*moments, strict=True))
        begin_n = np.repeat(np.arange(len(mean_l)) * (len(exchanges) + 1), np.diff(total_lu.indptr))
        return cls(total_lu, begin_n, size_u, mean_l, expected_ld, ratio(1, np.sqrt(variance_ld)))

    def one(self, total_u: Floats, y_u: NDArray[np.bool_], latent: int, d: int) -> float:
        """T of a latent with the labels as they are."""
        total = total_u[y_u].sum() - self.mean_l[latent] * self.size_u[y_u].sum() - self.expected_ld[latent, d]
        return float(total * self.per_sd_ld[latent, d])

    def largest(self, segment_u: Integers) -> Floats:
        """The largest |T| (d,), where the units of a segment up to d have the label."""
        n_latents, n_d = self.expected_ld.shape
        if n_d <= FEW:
            t_ld = self.total_lu @ (segment_u[:, None] <= np.arange(n_d)).astype(np.float64)
        else:
            cells_n = self.begin_n + segment_u[self.total_lu.indices]
            sums = np.bincount(cells_n, weights=self.total_lu.data, minlength=n_latents * (n_d + 1))
            t_ld = sums.reshape(n_latents, n_d + 1)[:, :-1].cumsum(1)
        t_ld -= self.mean_l[:, None] * np.bincount(segment_u, weights=self.size_u, minlength=n_d + 1)[:-1].cumsum()
        t_ld -= self.expected_ld
        t_ld *= self.per_sd_ld
        found: Floats = np.maximum(t_ld.max(0), -t_ld.min(0))
        return found
