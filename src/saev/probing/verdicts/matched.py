"""Latents drawn at random that fire as often as a hypothesis: what agreement with a label costs nothing.

Shape suffixes: i = pictures of the proposal half, k = pictures of the set, l = all latents, m = matched ones.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, final

import numpy as np
from scipy.sparse import csc_array

from saev.probing.statistics.arrays import Bools, Floats, Integers
from saev.probing.statistics.scores import Counts

N_MATCHED: Final = 100
MOST_APART: Final = 1.5
"""They fire at most so many times less often than the hypothesis."""
FEWEST: Final = 20
"""Of fewer latents nobody can say which value 95 % of them stay under."""


@final
@dataclass(frozen=True)
class MatchedLatents:
    """Other latents, with thresholds above which they fire as often on the proposal half."""

    latents: Integers  # (m,) their numbers.
    thresholds: Floats  # (m,) of each.
    frequency: float  # The mean share of pictures of the proposal half on which they fire; nan of none.
    own_frequency: float  # That of the hypothesis.

    def mcc(self, pooled_km: Floats, y_k: Bools, weights_k: Floats, stratum_k: Integers) -> Floats:
        """(m,) their MCC with the label on the pictures of a set, within strata.

        Args:
            pooled_km: Their values.
            y_k: Labels.
            weights_k: Of the pictures.
            stratum_k: Their numbers of strata.
        """
        fires_mk = (pooled_km > self.thresholds).T.astype(np.float64)
        is_in_ks = stratum_k[:, None] == np.unique(stratum_k)
        (fires, tp), (every, labelled) = (
            [(of * weights) @ is_in_ks for weights in (weights_k, weights_k * y_k)] for of in (fires_mk, 1.0)
        )
        rest = (fires - tp, labelled - tp, every - fires - (labelled - tp))
        found: Floats = Counts(tp, *(np.maximum(one, 0) for one in rest)).mcc_within()
        return found


def matched_latents(
    pooled_il: csc_array,
    values_i: Floats,
    threshold: float,
    own: Collection[int],
    rng: np.random.Generator,
    n: int = N_MATCHED,
) -> MatchedLatents:
    """The latents that are above 0 on most nearly as many pictures of the proposal half as a hypothesis; no labels.

    Their thresholds are such that they fire on as many pictures as it does there, or on the next smaller number where
    values are equal or too few. Latents of which that is less than 1 / `MOST_APART` of as many are not taken, and those
    that are never above 0.

    Args:
        pooled_il: Pooled values of all latents on the proposal half.
        values_i: Values of the hypothesis there.
        threshold: Above which it fires.
        own: Its latents, which are not taken.
        rng: Chooses among latents that are as near.
        n: At most so many.

    >>> pooled = csc_array(np.array([[1.0, 2, 0], [0, 3, 0], [2, 1, 0], [0, 0, 5]]))
    >>> found = matched_latents(pooled, np.array([1.0, 0, 2, 1]), 1.0, [0], np.random.default_rng(0), n=1)
    >>> found.latents.tolist(), found.thresholds.tolist()  # of three values the largest fires
    ([1], [2.0])
    """
    count_l = np.diff(pooled_il.indptr)
    n_fires = np.count_nonzero(values_i > threshold)
    may_l = np.flatnonzero((count_l > 0) & (MOST_APART * count_l >= n_fires))
    may_l = rng.permutation(may_l[~np.isin(may_l, list(own))])
    distance_l = np.abs(count_l[may_l] - np.count_nonzero(values_i > 0))
    found: dict[int, tuple[float, int]] = {}
    for latent in may_l[np.argsort(distance_l, kind="stable")].tolist():
        values = np.sort(pooled_il.data[pooled_il.indptr[latent] : pooled_il.indptr[latent + 1]])[::-1]
        least = float(values[n_fires]) if n_fires < len(values) else 0.0
        n_reached = int(np.count_nonzero(values > least))
        if MOST_APART * n_reached >= n_fires:
            found[latent] = least, n_reached
        if len(found) == n:
            break
    latents = np.array(sorted(found), dtype=np.int64)
    n_pictures = len(values_i)
    reached = [found[latent][1] / n_pictures for latent in latents.tolist()]
    return MatchedLatents(
        latents,
        np.array([found[latent][0] for latent in latents.tolist()]),
        float(np.mean(reached)) if reached else float("nan"),
        n_fires / n_pictures,
    )
