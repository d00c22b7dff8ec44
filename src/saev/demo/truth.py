"""How well what was learned agrees with what is known of scenes.

Shape suffixes: i = scenes, u = units (latents, or neurons), j = values of factors.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.probing.statistics.all_latents import latent_scores

Floats = NDArray[np.float64]
GOOD: Final = 0.8
"""An average precision from which on a unit stands for a value."""
_ROUGH: Final = 0.1
"""Above chance, from 0 to 1: what is no larger than this is no difference, and stands for nothing."""
_N_DEALS: Final = 100


@final
@dataclass(frozen=True)
class BestUnits:
    """For each value the unit that ranked the scenes with it best, and how well it does on other scenes."""

    unit_j: NDArray[np.int64]  # The units.
    ap_j: Floats  # Average precision on the other scenes.

    @property
    def n_good(self) -> int:
        """Values with a unit that stands for them."""
        return int((self.ap_j > GOOD).sum())


def best_units(pooled_iu: Any, y_ij: NDArray[np.int8], other_iu: Any, other_y_ij: NDArray[np.int8]) -> BestUnits:
    """Choose on some scenes, judge on others: the best of many flatters on the scenes that chose it.

    Args:
        pooled_iu: A value of each unit on each scene, sparse or dense.
        y_ij: Which values each scene has.
        other_iu: The same of the scenes that judge.
        other_y_ij: Likewise.
    """
    unit_j = np.nan_to_num(average_precisions(pooled_iu, y_ij)).argmax(0)
    kept = np.unique(unit_j)
    judged = average_precisions(csc_array(other_iu)[:, kept], other_y_ij)
    return BestUnits(unit_j, judged[np.searchsorted(kept, unit_j), np.arange(len(unit_j))])


def average_precisions(pooled_iu: Any, y_ij: NDArray[np.int8]) -> Floats:
    """(u, j) of all units for all values; nan for a value that no scene has."""
    return latent_scores(csc_array(pooled_iu), y_ij).average_precision.astype(np.float64)


def above_chance(ap_uj: Floats, y_ij: NDArray[np.int8]) -> Floats:
    """Average precisions as shares of the way from chance, the rate of a value, to 1."""
    rate_j = y_ij.mean(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = (ap_uj - rate_j) / (1 - rate_j)
    return found


def right_names(named: Mapping[int, int], ap_uj: Floats, y_ij: NDArray[np.int8]) -> dict[int, bool]:
    """Whether latents are named by what they stand for: by the value with the largest AP, or one nearly as large.

    APs are compared above chance, since a large share of scenes has a small object, and few are on pink. Nearly as
    large is less than .1 below the largest. A latent whose AP is less than .1 above chance for all values stands for
    none: each of its names would be nearly as good as the best, and is wrong.

    Args:
        named: The number of the value that each latent is named by.
        ap_uj: Of all latents, on scenes that chose no name.
        y_ij: Which values these scenes have.
    """
    lift_uj = np.nan_to_num(above_chance(ap_uj, y_ij), nan=-1.0)
    least_u = np.maximum(lift_uj.max(1) - _ROUGH, _ROUGH)
    return {latent: bool(lift_uj[latent, value] > least_u[latent]) for latent, value in named.items()}


def right_by_chance(named: Mapping[int, int], ap_uj: Floats, y_ij: NDArray[np.int8], seed: int) -> float:
    """The share of names that are right where the same names are dealt to the same latents at random.

    Args:
        named: As of `right_names`; so are the next two.
        ap_uj: Likewise.
        y_ij: Likewise.
        seed: Of the deals.
    """
    rng, values = np.random.default_rng(seed), list(named.values())
    dealt = [dict(zip(named, rng.permutation(values).tolist(), strict=True)) for _ in range(_N_DEALS)]
    return float(np.mean([list(right_names(one, ap_uj, y_ij).values()) for one in dealt])) if named else 0.0
