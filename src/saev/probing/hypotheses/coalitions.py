"""A few latents joined by OR and AND NOT for one attribute, chosen on the proposal half.

Shape suffixes: i = pictures, l = latents, n = positive values, latent after latent, each latent's from the largest on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import Claim, Latents

LEAST_GAIN: Final = 0.02
_AT_ONCE: Final = 2**22
"""Values that are looked at together; they take about 200 MB."""


@final
@dataclass(frozen=True)
class Joined:
    """What was found.

    Args:
        latents: With their thresholds.
        mcc: On the proposal half, after each latent that was taken in.
    """

    latents: Latents
    mcc: tuple[float, ...]


def joined(
    pooled_il: csc_array,
    y_i: NDArray[np.integer[Any]],
    *,
    claim: Claim = "fires on",
    most: int = 5,
    least_gain: float = LEAST_GAIN,
) -> Joined:
    """Join latents greedily: each time the one, with its threshold, by which MCC grows most.

    A latent is joined by OR (it fires, too) or by AND NOT (it silences). The result is exploratory: MCC is the best of
    many on the same pictures, and only the other half says what it is worth.

    Args:
        pooled_il: Pooled values of all latents, none below 0.
        y_i: Whether a picture has the attribute: 1 yes, 0 no, -1 unknown.
        claim: "does not fire on" joins latents that fire where the attribute is not.
        most: At most so many latents; 1 gives the best one.
        least_gain: Joining ends when MCC grows by less.

    Raises:
        InputError: Not both labels occur, or no latent has a positive MCC.
    """
    known_i = y_i >= 0
    n_positive, n = int((y_i == 1).sum()), int(known_i.sum())
    if not 0 < n_positive < n:
        raise InputError(f"{n_positive} of {n} labelled pictures have the attribute: both kinds are needed")
    if claim == "does not fire on":
        y_i = np.where(known_i, 1 - y_i, -1)
    slabs = list(_slabs(pooled_il, y_i))
    fires_i = np.zeros(len(y_i), dtype=np.bool_)
    taken: dict[bool, dict[int, float]] = {True: {}, False: {}}
    scores: list[float] = []
    while sum(map(len, taken.values())) < most:
        used = [latent for some in taken.values() for latent in some]
        best = max(
            (step for slab in slabs for step in slab.steps(fires_i, y_i, used, is_first=not used)),
            key=lambda step: step.mcc,
            default=None,
        )
        if best is None or best.mcc - (scores[-1] if scores else 0.0) < least_gain:
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


@final
@dataclass(frozen=True)
class _Step:
    mcc: float
    latent: int
    threshold: float
    is_or: bool


@final
@dataclass(frozen=True)
class _Slab:
    """Positive values of some latents on labelled pictures, each latent's from the largest on."""

    pictures_n: NDArray[np.int32]
    latents_n: NDArray[np.int32]
    thresholds_n: NDArray[np.float64]
    """Below the value and above the next one of the latent; nan where that is equal."""
    begin_n: NDArray[np.int64]
    """Where the latent's values begin."""

    @classmethod
    def of(cls, pictures_n: NDArray[Any], latents_n: NDArray[Any], values_n: NDArray[Any]) -> Self:
        order_n = np.lexsort((-values_n, latents_n))
        latents_n, values_n = latents_n[order_n], values_n[order_n].astype(np.float64)
        is_last_n = np.append(latents_n[1:] != latents_n[:-1], True)
        next_n = np.where(is_last_n, 0.0, np.append(values_n[1:], 0.0))
        thresholds_n = np.where(next_n < values_n, (values_n + next_n) / 2, np.nan)
        starts = np.flatnonzero(np.concatenate([[True], is_last_n[:-1]]))
        begin_n = np.repeat(starts, np.diff(np.append(starts, len(values_n))))
        return cls(pictures_n[order_n].astype(np.int32), latents_n.astype(np.int32), thresholds_n, begin_n)

    def steps(
        self, fires_i: NDArray[np.bool_], y_i: NDArray[Any], used: list[int], *, is_first: bool
    ) -> Iterator[_Step]:
        """The best latent to join by OR, and by AND NOT."""
        known_i = y_i >= 0
        n, n_positive = int(known_i.sum()), int((y_i == 1).sum())
        hits, alarms = int((fires_i & (y_i == 1)).sum()), int((fires_i & (y_i == 0)).sum())
        is_positive_n, fires_n = y_i[self.pictures_n] == 1, fires_i[self.pictures_n]
        may_n = ~(np.isnan(self.thresholds_n) | np.isin(self.latents_n, used))
        for is_or in (True,) if is_first else (True, False):
            changes_n = ~fires_n if is_or else fires_n
            sign = 1 if is_or else -1
            hits_n = hits + sign * self._above(changes_n & is_positive_n)
            alarms_n = alarms + sign * self._above(changes_n & ~is_positive_n)
            mcc_n = np.where(may_n, _mcc(hits_n, alarms_n, n_positive, n), -np.inf)
            best = int(mcc_n.argmax())
            if may_n[best]:
                yield _Step(float(mcc_n[best]), int(self.latents_n[best]), float(self.thresholds_n[best]), is_or)

    def _above(self, counted_n: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many are counted from the latent's largest value to this one."""
        total_n = np.concatenate([[0], counted_n.cumsum()])
        found: NDArray[np.int64] = total_n[1:] - total_n[self.begin_n]
        return found


def _mcc(hits_n: NDArray[Any], alarms_n: NDArray[Any], n_positive: int, n: int) -> NDArray[np.float64]:
    """MCC from hits and false alarms; 0 where the latents fire everywhere or nowhere."""
    fires_n, n_negative = (hits_n + alarms_n).astype(np.float64), n - n_positive
    product_n = fires_n * (n - fires_n) * n_positive * n_negative
    found: NDArray[np.float64] = (hits_n * float(n_negative) - alarms_n * float(n_positive)) / np.sqrt(
        np.where(product_n > 0, product_n, np.inf)
    )
    return found


def _slabs(pooled_il: csc_array, y_i: NDArray[Any]) -> Iterator[_Slab]:
    counts_l = np.diff(pooled_il.indptr)
    start = 0
    while start < len(counts_l):
        room = np.searchsorted(counts_l[start:].cumsum(), _AT_ONCE, side="right")
        stop = min(len(counts_l), start + max(1, int(room)))
        own = slice(pooled_il.indptr[start], pooled_il.indptr[stop])
        pictures_n, values_n = pooled_il.indices[own], pooled_il.data[own]
        latents_n = np.repeat(np.arange(start, stop), counts_l[start:stop])
        kept_n = (y_i[pictures_n] >= 0) & (values_n > 0)
        if kept_n.any():
            yield _Slab.of(pictures_n[kept_n], latents_n[kept_n], values_n[kept_n])
        start = stop
