"""Effects of an edit, picture by picture: how much a figure moves, and whether more than along random latents.

Shape suffixes: i = pictures, r = draws of random latents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray

from saev.probing.interventions.passes import UNTOUCHED, Outcome
from saev.probing.interventions.readouts import SHARES, Floats, Readout
from saev.probing.statistics.correction import holm
from saev.probing.statistics.paired import PairedEffect, paired_effect

EDITED: Final = "edited"
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
    random_ri: Floats  # With as large changes along random latents.


def random_name(draw: int) -> str:
    """The name of the change along the random latents of a draw."""
    return f"random {draw}"


def figures(
    outcome: Outcome,
    readouts: Sequence[Readout],
    labels: Sequence[str | None],
    target: str | None,
    n_random: int,
) -> list[Figure]:
    """All figures that can be had.

    Args:
        outcome: Of the measured pictures.
        readouts: What is read from the embeddings.
        labels: Classes of the pictures.
        target: The class that is told from the others, if there is one.
        n_random: Draws of random latents.
    """
    names = [UNTOUCHED, EDITED, *(random_name(draw) for draw in range(n_random))]
    everything = np.arange(len(labels))
    before = outcome.embedded(UNTOUCHED)
    cosines = [_cosine(before, outcome.embedded(name)) for name in names]
    found = [_figure("embedding: cosine", everything, cosines)]
    is_target = np.array([label is not None and label == target for label in labels])
    for readout in readouts:
        outputs = [readout.outputs(outcome.embedded(name)) for name in names]
        if not readout.is_classifier:
            found += [
                _figure(f"{readout.name}: output {one}", everything, [values[:, number] for values in outputs])
                for number, one in enumerate(readout.classes)
            ]
            continue
        place = {name: number for number, name in enumerate(readout.classes)}
        known = np.array([i for i, label in enumerate(labels) if label in place], dtype=np.int64)
        own = [values[known, [place[str(labels[i])] for i in known]] for values in outputs]
        found.append(_figure(f"{readout.name}: own class", known, own))
        if target in place:
            for what, kept in ((SHARES[1], is_target[known]), (SHARES[2], ~is_target[known])):
                found.append(_figure(f"{readout.name}: own class, {what}", known[kept], [one[kept] for one in own]))
    found += _of_patches(outcome, names, target)
    return [one for one in found if len(one.pictures)]


def _of_patches(outcome: Outcome, names: Sequence[str], target: str | None) -> list[Figure]:
    shares = [outcome.shares(name) for name in names]
    found = []
    for number, what in enumerate(SHARES if target is not None else SHARES[:1]):
        columns = [one[:, number] for one in shares if one is not None]
        if columns:
            known = np.flatnonzero(~np.isnan(columns[0]))
            found.append(_figure(f"segmentation: {what}", known, [column[known] for column in columns]))
    return found


def _figure(name: str, pictures: NDArray[np.int64], values: Sequence[Floats]) -> Figure:
    random_ri = np.array(values[2:]).reshape(len(values) - 2, len(pictures))
    return Figure(name, pictures, values[0], values[1], random_ri)


def _cosine(before: torch.Tensor, after: torch.Tensor) -> Floats:
    found: Floats = torch.nn.functional.cosine_similarity(before.double(), after.double(), dim=-1).numpy()
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
        beyond.append(paired_effect(one.random_ri.mean(0), one.edited_i, N_FLIPS, rng, group_i=groups))
    corrected = [holm([effect.p for effect in each]) for each in (moved, beyond)]
    for number, one in enumerate(found):
        draws_r = (one.random_ri - one.untouched_i).mean(1)
        bound = float(np.quantile(np.abs(draws_r), _QUANTILE))
        effect, other = moved[number], beyond[number]
        both = max(corrected[0][number], corrected[1][number])
        rows.append(
            {
                "figure": one.name,
                "n": effect.n,
                "untouched": float(one.untouched_i.mean()),
                "edited": float(one.edited_i.mean()),
                "random": float(one.random_ri.mean()),
                "effect": _row(effect, corrected[0][number]),
                "beyond_random": _row(other, corrected[1][number]),
                "random_effects": draws_r.tolist(),
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


def accuracies(
    outcome: Outcome, readouts: Sequence[Readout], labels: Sequence[str | None], n_random: int
) -> dict[str, Mapping[str, float]]:
    """By readout, the share of pictures whose own class has the largest probability, without and with changes."""
    found: dict[str, Mapping[str, float]] = {}
    for readout in readouts:
        if readout.is_classifier and any(label in readout.classes for label in labels):
            right = {
                name: float(right_classes(readout, outcome, name, labels)[1].mean())
                for name in (UNTOUCHED, EDITED, *(random_name(draw) for draw in range(n_random)))
            }
            random = [right[random_name(draw)] for draw in range(n_random)]
            found[readout.name] = {
                **{name: right[name] for name in (UNTOUCHED, EDITED)},
                "random": sum(random) / n_random,
            }
    return found


def right_classes(
    readout: Readout, outcome: Outcome, name: str, labels: Sequence[str | None]
) -> tuple[NDArray[np.int64], Floats]:
    """Places (i,) of the pictures whose class the readout knows, and 1 where it is the most probable one, else 0."""
    known = np.array([i for i, label in enumerate(labels) if label in readout.classes], dtype=np.int64)
    best = readout.outputs(outcome.embedded(name)[known]).argmax(1)
    return known, np.array([float(readout.classes[number] == labels[i]) for number, i in zip(best, known, strict=True)])
