"""A few latents joined by OR and AND NOT for one attribute, chosen on the proposal half.

Shape suffixes: i = pictures, l = latents, b = labels (the true ones, then shuffled ones), n = positive values, latent
after latent, each latent's from the largest on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import Claim, Latents

LEAST_GAIN: Final = 0.02
N_SHUFFLES: Final = 9
_AT_ONCE: Final = 2**22
"""Values that are looked at together; they take about 200 MB."""


@final
@dataclass(frozen=True)
class Joined:
    """What was found."""

    latents: Latents  # With their thresholds.
    mcc: tuple[float, ...]  # On the proposal half, after each latent that was taken in.


def joined(
    pooled_il: csc_array,
    y_i: NDArray[np.integer[Any]],
    *,
    claim: Claim = "fires on",
    most: int = 5,
    least_gain: float = LEAST_GAIN,
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> Joined:
    """Join latents greedily: each time the one, with its threshold, by which MCC grows most.

    A latent is joined by OR (it fires, too) or by AND NOT (it silences). Among thousands of latents some make MCC grow
    by chance: one is joined only if it does more for it than the best one does for labels that are shuffled among the
    pictures on which those so far fire, and among the others. The result is exploratory all the same: only the other
    half says what it is worth.

    Args:
        pooled_il: Pooled values of all latents, none below 0.
        y_i: Whether a picture has the attribute: 1 yes, 0 no, -1 unknown.
        claim: "does not fire on" joins latents that fire where the attribute is not.
        most: At most so many latents; 1 gives the best one.
        least_gain: Joining ends when MCC grows by less.
        n_shuffles: A latent is joined by chance once in so many times, and one.
        seed: Of the shuffles.

    Raises:
        InputError: Not both labels occur, or no latent has an MCC of `least_gain`.
    """
    known_i = y_i >= 0
    n_positive, n = int((y_i == 1).sum()), int(known_i.sum())
    if not 0 < n_positive < n:
        raise InputError(f"{n_positive} of {n} labelled pictures have the attribute: both kinds are needed")
    is_positive_i = y_i == (1 if claim == "fires on" else 0)
    slabs = list(_slabs(pooled_il, known_i))
    fires_i = np.zeros(len(y_i), dtype=np.bool_)
    taken: dict[bool, dict[int, float]] = {True: {}, False: {}}
    scores: list[float] = []
    rng = np.random.default_rng(seed)
    while sum(map(len, taken.values())) < most:
        shuffled = [_shuffled(is_positive_i, fires_i, known_i, rng) for _ in range(n_shuffles if scores else 0)]
        used = [latent for some in taken.values() for latent in some]
        state = _State(fires_i & known_i, np.stack([is_positive_i, *shuffled]), n, used)
        best, *by_chance = state.best(slabs)
        if best.mcc - (scores[-1] if scores else 0.0) < least_gain or any(one.mcc >= best.mcc for one in by_chance):
            break
        taken[best.is_or][best.latent] = best.threshold
        above_i = pooled_il[:, [best.latent]].toarray()[:, 0] > best.threshold
        fires_i = fires_i | above_i if best.is_or else fires_i & ~above_i
        scores.append(best.mcc)
    if not scores:
        raise InputError(f"of no latent '{claim}' the attribute holds with an MCC of {least_gain} or more")
    return Joined(
        Latents(tuple(taken[True]), tuple(taken[False]), (*taken[True].values(), *taken[False].values())),
        tuple(scores),
    )


def _shuffled(
    is_positive_i: NDArray[np.bool_], fires_i: NDArray[np.bool_], known_i: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """The labels, in another order among pictures that the latents so far do not tell apart."""
    found_i = is_positive_i.copy()
    for own_i in (known_i & fires_i, known_i & ~fires_i):
        found_i[own_i] = rng.permutation(found_i[own_i])
    return found_i


@final
@dataclass(frozen=True)
class _Step:
    mcc: float
    latent: int = -1
    threshold: float = 0.0
    is_or: bool = True


@final
@dataclass(frozen=True)
class _State:
    """What the latents so far do, and the labels (b, i) by which a next one is judged: the true ones, then others."""

    fires_i: NDArray[np.bool_]
    is_positive_bi: NDArray[np.bool_]
    n: int
    """Labelled pictures."""
    used: list[int]

    def best(self, slabs: Sequence["_Slab"]) -> list[_Step]:
        """The best latent to join, by each of the labels."""
        found = [_Step(-np.inf)] * len(self.is_positive_bi)
        for slab in slabs:
            for is_or in (True, False) if self.used else (True,):
                steps = slab.best(self, is_or=is_or)
                found = [max(pair, key=lambda step: step.mcc) for pair in zip(found, steps, strict=True)]
        return found


@final
@dataclass(frozen=True)
class _Slab:
    """Positive values of some latents on labelled pictures, each latent's from the largest on."""

    pictures_n: NDArray[np.int32]
    latents_n: NDArray[np.int32]
    thresholds_n: NDArray[np.float64]
    """Below the value and above the next one of the latent; nan where that is equal."""
    begin_n: NDArray[np.int32]
    """Where the latent's values begin."""

    @classmethod
    def of(cls, pictures_n: NDArray[Any], latents_n: NDArray[Any], values_n: NDArray[Any]) -> Self:
        order_n = np.lexsort((-values_n, latents_n))
        latents_n, values_n = latents_n[order_n], values_n[order_n].astype(np.float64)
        is_last_n = np.append(latents_n[1:] != latents_n[:-1], True)
        next_n = np.where(is_last_n, 0.0, np.append(values_n[1:], 0.0))
        thresholds_n = np.where(next_n < values_n, (values_n + next_n) / 2, np.nan)
        starts = np.flatnonzero(np.concatenate([[True], is_last_n[:-1]]))
        begin_n = np.repeat(starts, np.diff(np.append(starts, len(values_n)))).astype(np.int32)
        return cls(pictures_n[order_n].astype(np.int32), latents_n.astype(np.int32), thresholds_n, begin_n)

    def best(self, state: _State, *, is_or: bool) -> list[_Step]:
        """The best latent to join by OR or by AND NOT, by each of the labels."""
        may_n = np.flatnonzero(~(np.isnan(self.thresholds_n) | np.isin(self.latents_n, state.used)))
        if not len(may_n):
            return [_Step(-np.inf)] * len(state.is_positive_bi)
        changes_n = state.fires_i[self.pictures_n] != is_or
        sign = 1 if is_or else -1
        n, n_positive = state.n, int(state.is_positive_bi[0].sum())
        fires_n = state.fires_i.sum() + sign * self._above(changes_n, may_n).astype(np.float64)
        scale_n = np.sqrt(fires_n * (n - fires_n) * (n_positive * (n - n_positive)))
        scale_n[scale_n == 0] = np.inf  # where they fire everywhere or nowhere MCC is 0
        steps = []
        for is_positive_i in state.is_positive_bi:
            hits_n = self._above(changes_n & is_positive_i[self.pictures_n], may_n)
            mcc_n = ((state.fires_i & is_positive_i).sum() + sign * hits_n) * float(n)
            mcc_n -= fires_n * n_positive
            mcc_n /= scale_n
            best = int(mcc_n.argmax())
            place = may_n[best]
            steps.append(_Step(float(mcc_n[best]), int(self.latents_n[place]), float(self.thresholds_n[place]), is_or))
        return steps

    def _above(self, counted_n: NDArray[np.bool_], places: NDArray[np.int64]) -> NDArray[np.int32]:
        """How many are counted from a latent's largest value to those at some places."""
        total_n = np.zeros(len(counted_n) + 1, dtype=np.int32)
        np.cumsum(counted_n, out=total_n[1:])
        found: NDArray[np.int32] = total_n[places + 1] - total_n[self.begin_n[places]]
        return found


def _slabs(pooled_il: csc_array, known_i: NDArray[np.bool_]) -> Iterator[_Slab]:
    counts_l = np.diff(pooled_il.indptr)
    start = 0
    while start < len(counts_l):
        room = np.searchsorted(counts_l[start:].cumsum(), _AT_ONCE, side="right")
        stop = min(len(counts_l), start + max(1, int(room)))
        own = slice(pooled_il.indptr[start], pooled_il.indptr[stop])
        pictures_n, values_n = pooled_il.indices[own], pooled_il.data[own]
        latents_n = np.repeat(np.arange(start, stop), counts_l[start:stop])
        kept_n = known_i[pictures_n] & (values_n > 0)
        if kept_n.any():
            yield _Slab.of(pictures_n[kept_n], latents_n[kept_n], values_n[kept_n])
        start = stop
