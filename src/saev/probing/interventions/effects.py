"""Effects of an edit, picture by picture: how much a figure moves, and whether more than along random latents.

Shape suffixes: i = pictures, r = draws of random latents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from saev.probing.interventions.outcome import EDITED, RANDOM, UNTOUCHED, Outcome, right_column
from saev.probing.interventions.readouts import Floats, Readout
from saev.probing.statistics.correction import holm
from saev.probing.statistics.paired import PairedEffect, paired_effect

ALPHA: Final = 0.05
N_FLIPS: Final = 10_000
_QUANTILE: Final = 0.95


@final
@dataclass(frozen=True)
class Figure:
    """A number of each picture, with and without the edit."""

    name: str  # What it is.
    pictures: NDArray[np.int64]  # Places (i,) of its pictures among the measured ones.
    untouched_i: Floats  # Without a change.
    edited_i: Floats  # With the edit.
    random_i: Floats  # With as large changes along random latents, the mean over the draws.
    draws_r: Floats  # How much each draw changes it, the mean over the pictures.


def figures(outcome: Outcome, columns: Sequence[str]) -> dict[str, Figure]:
    """Figures by name, those that no picture has left out.

    Args:
        outcome: Of the measured pictures.
        columns: Of it.
    """
    found = {}
    for column in columns:
        values = [outcome.values(name, column) for name in (UNTOUCHED, EDITED, RANDOM)]
        known = np.flatnonzero(~np.isnan(values[0]))
        if len(known):
            draws_r = outcome.moved[column] / len(known)
            found[column] = Figure(column, known, values[0][known], values[1][known], values[2][known], draws_r)
    return found


def effects(found: Sequence[Figure], digests: Sequence[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Paired effects of all figures as plain JSON, their p values corrected together (Holm).

    Args:
        found: The figures.
        digests: Of the measured pictures: equal ones are one observation.
        rng: Where chance comes from.
    """
    rows, moved, beyond = [], [], []
    for one in found:
        groups = [digests[place] for place in one.pictures]
        moved.append(paired_effect(one.untouched_i, one.edited_i, N_FLIPS, rng, group_i=groups))
        beyond.append(paired_effect(one.random_i, one.edited_i, N_FLIPS, rng, group_i=groups))
    corrected = [holm([effect.p for effect in each]) for each in (moved, beyond)]
    for number, one in enumerate(found):
        bound = float(np.quantile(np.abs(one.draws_r), _QUANTILE))
        effect, other = moved[number], beyond[number]
        both = max(corrected[0][number], corrected[1][number])
        rows.append(
            {
                "figure": one.name,
                "n": effect.n,
                "untouched": float(one.untouched_i.mean()),
                "edited": float(one.edited_i.mean()),
                "random": float(one.random_i.mean()),
                "effect": _row(effect, corrected[0][number]),
                "beyond_random": _row(other, corrected[1][number]),
                "random_effects": one.draws_r.tolist(),
                "random_bound": bound,
                "specific": bool(both <= ALPHA and abs(effect.mean) > bound),
            }
        )
    return rows


def _row(effect: PairedEffect, p_corrected: float) -> dict[str, float | None]:
    return {
        "mean": effect.mean,
        # A single picture has no interval, and JSON no infinity.
        "low": effect.low if np.isfinite(effect.low) else None,
        "high": effect.high if np.isfinite(effect.high) else None,
        "p": effect.p,
        "p_corrected": float(p_corrected),
    }


def accuracies(outcome: Outcome, readouts: Sequence[Readout]) -> dict[str, Mapping[str, float]]:
    """By readout, the share of pictures whose own class has the largest probability, without and with changes."""
    names = {right_column(readout.name): readout.name for readout in readouts if readout.is_classifier}
    return {
        names[column]: {
            UNTOUCHED: float(one.untouched_i.mean()),
            EDITED: float(one.edited_i.mean()),
            RANDOM: float(one.random_i.mean()),
        }
        for column, one in figures(outcome, list(names)).items()
    }
