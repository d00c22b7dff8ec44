"""What a report shows of a hypothesis, beside what its test says.

Shape suffix: k = pictures of the set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from saev.probing.sets.sampling import allotted
from saev.probing.statistics.arrays import Bools, Integers
from saev.probing.verdicts.result import Result
from saev.probing.verdicts.values import SetValues

MOST_OF_ONE: Final = 60
"""Pictures of a hypothesis, at most."""
MOST_PICTURES: Final = 1_000
"""Pictures of a report: with their heatmaps they take about 20 MB."""


@final
@dataclass(frozen=True)
class ShownPicture:
    """A picture of a set as the ViT saw it, with what the latents do on it."""

    name: str  # The user's.
    value: float  # Of the latents; they fire above the threshold of the hypothesis.
    roles: tuple[str, ...]  # What it is in the set for.
    jpeg: bytes | None  # None where it is gone or another one by now; a grey tile is shown.
    heat: bytes | None  # The heatmap, a PNG of a pixel a patch; None where no patches are encoded.


@final
@dataclass(frozen=True)
class Kind:
    """Pictures of a set that say the same of the claim."""

    title: str  # What they are.
    n: int  # How many there are.
    pictures: tuple[ShownPicture, ...]  # Those that are shown, the largest values first.


@final
@dataclass(frozen=True)
class ShownPairs:
    """Pairs of an edit, evenly from those that lose most to those that gain most."""

    name: str  # Of the edit.
    pairs: tuple[tuple[ShownPicture, ...], ...]  # Of each the original, the edited picture and the placebo.


@final
@dataclass(frozen=True)
class Reported:
    """One hypothesis of a report."""

    result: Result  # What its test says.
    values: SetValues  # What its latents do on its set.
    kinds: tuple[Kind, ...] = ()  # Pictures; none where there is no room for them.
    pairs: tuple[ShownPairs, ...] = ()  # Of its edits; none where there is no room for them.


def pictures_of_each(n_hypotheses: int) -> int:
    """How many pictures of each hypothesis a report has room for.

    >>> pictures_of_each(3), pictures_of_each(50)
    (60, 20)
    """
    return min(MOST_OF_ONE, MOST_PICTURES // max(1, n_hypotheses))


def n_pictures(pairs: Sequence[ShownPairs]) -> int:
    """How many pictures are shown of pairs."""
    return sum(len(pair) for one in pairs for pair in one.pairs)


def kinds_of(values: SetValues) -> dict[str, Bools]:
    """Which pictures (k,) say what of a claim.

    Hard pictures of the sample are part of the effect, and stand among its errors, too.
    """
    is_positive, used_k = values.hypothesis.claim == "fires on", values.used_k
    claimed_k, has_k = values.claimed(values.fires_k), values.y_k == 1
    titles = _TITLES if is_positive else _TITLES_OF_SILENCE
    is_hard_k = np.array([any(role != "sample" for role in one.roles) for one in values.made.pictures])
    hard_k = is_hard_k & (values.y_k == (0 if is_positive else 1)) & values.fires_k
    masks = used_k & claimed_k & has_k, used_k & ~claimed_k & has_k, used_k & claimed_k & ~has_k, hard_k
    return dict(zip(titles, masks, strict=True))


def chosen(values: SetValues, most: int) -> dict[str, Integers]:
    """Which pictures (k,) of each kind are shown, at most so many together; evenly through the values of a kind.

    Shown evenly, pictures say what is usual: the first ones alone would show the best.
    """
    kinds = {title: np.flatnonzero(mask_k) for title, mask_k in kinds_of(values).items() if mask_k.any()}
    kinds = dict(list(kinds.items())[:most])
    size_s = np.array([len(found) for found in kinds.values()], dtype=np.int64)
    if not kinds:
        return {}
    n_s = size_s if size_s.sum() <= most else allotted(size_s, np.ones(len(size_s)), most)
    return {
        title: evenly(found[np.argsort(-values.a_k[found], kind="stable")], int(n))
        for (title, found), n in zip(kinds.items(), n_s, strict=True)
    }


def evenly(ordered: Integers, n: int) -> Integers:
    """At most n of these, evenly from the first one to the last.

    >>> evenly(np.arange(10, 20), 4).tolist()
    [10, 13, 16, 19]
    """
    n = min(n, len(ordered))
    found: Integers = ordered[np.linspace(0, len(ordered) - 1, n).round().astype(np.int64)]
    return found


_TITLES: Final = (
    "Hits: it fires, and should",
    "Misses: it does not fire, and should",
    "False alarms: it fires, and should not",
    "Hard pictures: it fires, and should not",
)
_TITLES_OF_SILENCE: Final = (
    "Hits: it does not fire, and should not",
    "Misses: it fires, and should not",
    "False alarms: it does not fire where the attribute is missing",
    "Hard pictures: it fires, and should not",
)
