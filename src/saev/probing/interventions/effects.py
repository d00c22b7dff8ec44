"""Effects of an edit, picture by picture: how much a figure moves, and whether more than along random latents.

Shape suffixes: i = pictures, r = draws of random latents.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from saev.probing.interventions.outcome import COSINE, EDITED, RANDOM, UNTOUCHED, Outcome, Reading, right_column
from saev.probing.interventions.pictures import Chosen
from saev.probing.interventions.readouts import SHARES, Readout
from saev.probing.statistics.arrays import Floats
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
        stem = column.removesuffix(SHARES[2])
        says_again = stem != column and f"{stem}{SHARES[1]}" not in found  # Without a target the others are all.
        if len(known) and not says_again:
            draws_r = outcome.moved[column] / len(known)
            found[column] = Figure(column, known, values[0][known], values[1][known], values[2][known], draws_r)
    return found


def effects(found: Sequence[Figure], digests: Sequence[str], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Paired effects of all figures as plain JSON, their p values corrected together (Holm).

    The cosine can only fall from 1, whatever is changed: it is compared with random draws alone, not with no change.

    Args:
        digests: Of the measured pictures: equal ones are one observation.
    """
    rows, moved, beyond = [], [], []
    for one in found:
        groups = [digests[place] for place in one.pictures]
        moved.append(paired_effect(one.untouched_i, one.edited_i, N_FLIPS, rng, group_i=groups))
        beyond.append(paired_effect(one.random_i, one.edited_i, N_FLIPS, rng, group_i=groups))
    may_rise = [place for place, one in enumerate(found) if not one.name.startswith(COSINE)]
    from_nothing = dict(zip(may_rise, holm([moved[place].p for place in may_rise]), strict=True)) if may_rise else {}
    from_random = holm([effect.p for effect in beyond])
    for number, one in enumerate(found):
        bound = float(np.quantile(np.abs(one.draws_r), _QUANTILE))
        effect, p = moved[number], from_nothing.get(number)
        rows.append(
            {
                "figure": one.name,
                "n": effect.n,
                "untouched": float(one.untouched_i.mean()),
                "edited": float(one.edited_i.mean()),
                "random": float(one.random_i.mean()),
                "effect": _row(effect, p),
                "beyond_random": _row(beyond[number], from_random[number]),
                "random_effects": one.draws_r.tolist(),
                "random_bound": bound,
                "specific": bool(max(p or 0, from_random[number]) <= ALPHA and abs(effect.mean) > bound),
            }
        )
    return rows


def left_out(target: str | None, chosen: Chosen, reading: Reading, found: Collection[str]) -> list[str]:
    """Why figures are missing that one would look for, a sentence each.

    Args:
        target: As it was asked for.
        reading: What was read.
        found: Names of the figures that there are.
    """
    own = [label for place in chosen.measured if (label := chosen.labels[place]) is not None]
    n_learn = len(chosen.numbers) - len(chosen.measured)
    notes = []
    for one in reading.readouts:
        unknown = [label for label in own if label not in one.classes] if one.is_classifier else []
        if unknown:
            notes.append(
                f"{one.name}: {len(unknown)} of {len(own)} measured pictures are of classes that it does not know: "
                f"none of the {n_learn} pictures that it learns from is of them"
            )
        if target in unknown:
            notes.append(
                f"{one.name}: no figure of the target stands apart, there are too few pictures of {target} in the half "
                "that the probe learns from: give more pictures (--n_images)"
            )
    if reading.target is not None and target not in own:
        notes.append(f"no measured picture is of {target}, so that no figure of it stands apart: give more pictures")
    if reading.patches is not None and reading.patches.target is not None and f"segmentation: {SHARES[1]}" not in found:
        notes.append(f"segmentation: no measured picture has a patch of {target}")
    return notes


def as_json(effect: PairedEffect) -> dict[str, float | None]:
    """A change, its interval and p. A single picture has no interval, and JSON no infinity."""
    low, high = (effect.low, effect.high) if np.isfinite(effect.low) else (None, None)
    return {"mean": effect.mean, "low": low, "high": high, "p": effect.p}


def _row(effect: PairedEffect, p_corrected: float | None) -> dict[str, float | None]:
    """Without a p, of what can move one way alone, there is no interval either: Student's t knows no such end."""
    if p_corrected is None:
        return {"mean": effect.mean, **dict.fromkeys(("low", "high", "p", "p_corrected"))}
    return as_json(effect) | {"p_corrected": float(p_corrected)}


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
