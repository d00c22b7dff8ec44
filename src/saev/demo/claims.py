"""The five claims of a demo: three that are true and two that are false, by what the SAE at hand has learned.

Latents are chosen by rules on the proposal half, so that another machine, whose SAE differs a little, has claims as
good. Shape suffixes: h = scenes of the proposal half, l = latents, j = values of factors.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.demo.known_scenes import NAMES, SUMMER, VALUES, WARM
from saev.demo.truth import above_chance, average_precisions
from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.hypotheses.thresholds import best_threshold
from saev.probing.statistics.all_latents import latent_scores
from saev.probing.statistics.scores import mcc

SMALLEST_EFFECT: Final = 0.4
N_TOP: Final = 9
_CLEAN: Final = 0.6
"""Average precision above chance from which on a latent surely stands for something."""
_FIRM: Final = 0.3
"""The same from which on a latent has to do with it."""
_NOTHING: Final = 0.03
"""An MCC as small as that is none."""


@final
@dataclass(frozen=True)
class PlantedClaim:
    """A claim whose truth is known."""

    hypothesis: Hypothesis  # It, with latents and thresholds.
    truth: str  # What `KnownScenes.truth` calls what is claimed.
    is_true: bool  # Whether the latents fire on it, rather than on something else.
    why: str  # How it came about, in words.


@final
@dataclass(frozen=True)
class Claims:
    """The five claims, by the file that they are frozen in."""

    colour: PlantedClaim  # A latent of a colour.
    several: tuple[PlantedClaim, PlantedClaim, PlantedClaim]
    """A latent of a shape or texture, latents of warm colours together, and one that is misread."""
    season: PlantedClaim  # A latent of a background that passes for one of the season.

    @property
    def all(self) -> tuple[PlantedClaim, ...]:
        """All five."""
        return (self.colour, *self.several, self.season)


def choose(
    draft: Sequence[Hypothesis], pooled_hl: csc_array, y_hj: NDArray[np.int8], summer_h: NDArray[np.int8]
) -> Claims:
    """Choose the claims.

    Args:
        draft: What `saev.probing.propose` drafted, on attributes that have the names of values, "warm" and "summer".
        pooled_hl: Values of all latents on the scenes of the proposal half.
        y_hj: Which values these scenes have.
        summer_h: Which of them were made "in summer".

    Raises:
        InputError: If the SAE has learned so little that there is nothing to claim.
    """
    singles = {one.attribute.name: one for one in draft if _is_plain(one)}
    colour = _best(singles, ("colour",), pooled_hl, y_hj)
    other = _best(singles, ("shape", "texture"), pooled_hl, y_hj)
    return Claims(
        _true(colour, f"of all latents it goes best with a colour, {colour.attribute.name}"),
        (
            _true(other, f"of all latents it goes best with a shape or a texture, {other.attribute.name}"),
            _true(_warm(draft, pooled_hl, y_hj), "no latent stands for both colours, but together they do"),
            _misread(pooled_hl, y_hj, taken=[colour.attribute.name, other.attribute.name]),
        ),
        PlantedClaim(
            _hypothesis("metadata-summer", "summer", "the scene was made in summer", _going_with(pooled_hl, summer_h)),
            "summer",
            False,
            f"it sees the {SUMMER} background, which most summer scenes have, and nothing of a season",
        ),
    )


def latents_of(value: str, pooled_hl: csc_array, y_hj: NDArray[np.int8]) -> list[int]:
    """All latents that go with a value more than with any other, and firmly."""
    lift_lj = np.nan_to_num(above_chance(average_precisions(pooled_hl, y_hj), y_hj), nan=-1.0)
    j = NAMES.index(value)
    found: list[int] = np.flatnonzero((lift_lj.argmax(1) == j) & (lift_lj[:, j] > _FIRM)).tolist()
    return found


def _is_plain(one: Hypothesis) -> bool:
    return one.claim == "fires on" and len(one.latents.all) == 1 and one.attribute.source == "metadata"


def _best(
    singles: dict[str, Hypothesis], factors: Sequence[str], pooled_hl: csc_array, y_hj: NDArray[np.int8]
) -> Hypothesis:
    """The one on a value of these factors that holds best on the proposal half."""
    found = [singles[name] for factor, name in VALUES if factor in factors and name in singles]
    if not found:
        raise InputError(f"no latent goes with a {' or a '.join(factors)}: the SAE has learned too little for a demo")
    return max(found, key=lambda one: _agreement(one, pooled_hl, y_hj[:, NAMES.index(one.attribute.name)]))


def _agreement(one: Hypothesis, pooled_hl: csc_array, y_h: NDArray[np.int8]) -> float:
    return mcc(one.latents.values(pooled_hl[:, list(one.latents.all)]) > one.latents.threshold, y_h)


def _warm(draft: Sequence[Hypothesis], pooled_hl: csc_array, y_hj: NDArray[np.int8]) -> Hypothesis:
    """Those that the draft joins; where it joins none that fire on warm colours, the best of each of the colours."""
    for one in draft:
        if one.attribute.name == "warm" and one.claim == "fires on" and len(one.latents.any) > 1:
            return one
    of_colours = [_going_with(pooled_hl, y_hj[:, NAMES.index(colour)]) for colour in WARM]
    some = {one.any[0]: one.threshold for one in of_colours}
    if len(some) < len(WARM) or min(some.values()) == 0:
        raise InputError("no latents go with warm colours: the SAE has learned too little for a demo")
    return _hypothesis("metadata-warm-joined", "warm", "warm", Latents(tuple(some), (), tuple(some.values())))


def _going_with(pooled_hl: csc_array, y_h: NDArray[np.int8]) -> Latents:
    """The latent that fires on it best, by MCC."""
    latent = int(latent_scores(pooled_hl, y_h[:, None]).mcc[:, 0].argmax())
    return Latents((latent,), (), (best_threshold(pooled_hl[:, [latent]].toarray()[:, 0], y_h),))


def _hypothesis(own_id: str, name: str, text: str, latents: Latents) -> Hypothesis:
    return Hypothesis(own_id, AttributeName("metadata", name), latents, smallest_effect=SMALLEST_EFFECT, text=text)


def _true(one: Hypothesis, why: str) -> PlantedClaim:
    name = one.attribute.name
    text = "something red or yellow is in the scene" if name == "warm" else _sentence(name)
    return PlantedClaim(_claimed(one, text), name, True, why)


def _misread(pooled_hl: csc_array, y_hj: NDArray[np.int8], taken: Collection[str]) -> PlantedClaim:
    """A latent whose strongest scenes share what it does not stand for.

    Of all latents that surely stand for a value, and all values of other factors with which they do not go: the pair
    that most of the strongest scenes of the latent show, and of these the one that the fewest scenes show. What is
    `taken` by another claim is none: a second test of the same thing on the same scenes decides nothing.
    """
    lift_lj = np.nan_to_num(above_chance(average_precisions(pooled_hl, y_hj), y_hj), nan=-1.0)
    found: tuple[tuple[int, float], Hypothesis, str] | None = None
    for latent in np.flatnonzero(lift_lj.max(1) > _CLEAN).tolist():
        value_h, own = pooled_hl[:, [latent]].toarray()[:, 0], int(lift_lj[latent].argmax())
        threshold = best_threshold(value_h, y_hj[:, own])
        for j in _unrelated(value_h > threshold, y_hj, own):
            if NAMES[j] in taken:
                continue
            n = int(y_hj[np.argsort(-value_h, kind="stable")[:N_TOP], j].sum())
            rank = n, -float(y_hj[:, j].mean())
            if found is None or rank > found[0]:
                its = Latents((latent,), (), (threshold,))
                claimed = _hypothesis("misread", NAMES[j], _sentence(NAMES[j]), its)
                why = f"it stands for {NAMES[own]}; {n} of its {N_TOP} strongest scenes show {NAMES[j]}"
                found = rank, claimed, why
    if found is None:
        raise InputError("no latent surely stands for anything: the SAE has learned too little for a demo")
    return PlantedClaim(found[1], found[1].attribute.name, False, found[2])


def _unrelated(fires_h: NDArray[np.bool_], y_hj: NDArray[np.int8], own: int) -> list[int]:
    """Values of other factors with which firing does not go; those that some scenes have and others lack."""
    others = [
        j
        for j, (factor, _) in enumerate(VALUES)
        if factor not in (VALUES[own][0], "background") and 0 < y_hj[:, j].mean() < 1
    ]
    return [j for j in others if abs(mcc(fires_h, y_hj[:, j])) < _NOTHING]


def _claimed(one: Hypothesis, text: str) -> Hypothesis:
    return replace(one, text=text, smallest_effect=SMALLEST_EFFECT)


def _sentence(name: str) -> str:
    """What is claimed, as whoever labels pictures reads it."""
    factor = VALUES[NAMES.index(name)][0]
    if factor == "shape":
        return f"a {name} is in the scene"
    if factor == "position":
        return f"something is at the {name}"
    return f"something {name} is in the scene"
