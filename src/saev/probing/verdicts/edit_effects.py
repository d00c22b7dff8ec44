"""What latents do on pairs of pictures: how far an edit moves them, beyond what its placebo does.

Shape suffixes: q = pairs of an edit, e = edits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from saev.errors import tell
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.sets.paired_set import PairedEdit
from saev.probing.statistics.arrays import Bools, Floats, Integers
from saev.probing.statistics.correction import holm
from saev.probing.statistics.paired import PairedEffect, paired_effect
from saev.probing.verdicts.all_codes import AllCodes
from saev.probing.verdicts.given_sets import GivenSet

SMALLEST: Final = 0.2
"""The smallest change that matters, as a share of `EditEffect.reference`."""
FEWEST_TO_RULE_OUT: Final = 20
"""Groups: of fewer, all of which stay as they are, one cannot say that others would; uneven weights make them fewer."""


@final
@dataclass(frozen=True)
class EditEffect:
    """What an edit does to the latents of a hypothesis.

    Values are those of the latents; they fire above the threshold. Means and shares of firing are those of the pictures
    that the pairs stand for: people answer of pictures that were sampled by value. `effect` is what the finding rests
    on: edited less placebo, and for an edit that must not matter edited less original.
    """

    name: str  # Of the edit.
    expected: str  # What it does to the attribute: "removes", "keeps" or "adds".
    n: int  # Pairs.
    before: float  # Mean value of the originals.
    after: float  # Mean value of the edited ones.
    placebo: float  # Mean value of the placebos.
    fires_before: float  # Share of the originals on which the latents fire.
    fires_after: float  # Share of the edited ones.
    fires_placebo: float  # Share of the placebos.
    effect: float  # Mean difference.
    low: float  # Lower end of its 95 % interval.
    high: float  # Upper end.
    share_as_claimed: float
    """Share of pairs whose difference has the direction that is claimed; of an edit that must not matter, of those that
    change by less than matters."""
    p: float | None
    """Two-sided, by flips of signs: the larger one of edited less original, and edited less placebo. None where the
    edit must not matter."""
    p_corrected: float | None  # For all edits of the hypothesis that have a p (Holm), times the hypotheses of the file.
    reference: float
    """What changes are measured against: the mean value of originals on which the latents should fire, and the
    threshold where they should be silent on these. A change matters from a fifth of it on."""
    strength: float  # Mean strength of the edits.
    placebo_strength: float  # Mean strength of the placebos.
    finding: str  # "as claimed", "not as claimed" or "undecided", which it always is when the test is exploratory.


@final
@dataclass(frozen=True)
class PairValues:
    """A hypothesis on the pairs of an edit."""

    edit: PairedEdit  # The edit, with the pairs that count, in the order of the values.
    before_q: Floats  # (q,) values of the latents on the originals.
    after_q: Floats  # (q,) on the edited ones.
    placebo_q: Floats  # (q,) on the placebos.
    weight_q: Floats  # (q,) for how many pictures each pair stands.

    def mean(self, x_q: Floats | Bools) -> float:
        """Of the pictures that the pairs stand for."""
        return float(np.average(x_q, weights=self.weight_q))

    @property
    def can_rule_out(self) -> bool:
        """Whether there are enough pairs to say that others would do as all of them do (Kish's effective number)."""
        evenness = self.weight_q.sum() ** 2 / (len(self.weight_q) * (self.weight_q @ self.weight_q))
        return bool(len(np.unique(self.group_q)) * evenness >= FEWEST_TO_RULE_OUT * (1 - 1e-9))

    @property
    def group_q(self) -> Integers:
        """(q,) numbers of the groups that no resampling parts."""
        return np.unique([one.group for one in self.edit.pairs], return_inverse=True)[1].astype(np.int64)


def pair_values(given: GivenSet, codes: AllCodes) -> list[PairValues]:
    """The values of a hypothesis on its pairs; a line names edits of which fewer than two groups are left.

    Args:
        given: The hypothesis and its set.
        codes: Of the pictures of pairs, too.

    Raises:
        InputError: As `Hypothesis.pooled`.
    """
    pictures = zip(given.made.pictures, given.labelled.weights_k(given.made).tolist(), strict=True)
    weights, found, latents = {one.id: weight for one, weight in pictures}, [], given.hypothesis.latents
    for edit in given.edits:
        pairs = edit.pairs
        if len({one.group for one in pairs}) < 2:
            tell(f"{given.hypothesis.id}: {edit.name}: {len(pairs)} pairs are of pictures with the attribute: left out")
            continue
        before_q, after_q, placebo_q = (
            latents.values(codes.pooled(given.hypothesis, latents.all, [(None, getattr(one, which)) for one in pairs]))
            for which in ("before", "after", "placebo")
        )
        weight_q = np.array([weights.get(one.id, 1.0) for one in pairs])
        found.append(PairValues(edit, before_q, after_q, placebo_q, weight_q))
    return found


def edit_effects(
    values: Sequence[PairValues], given: GivenSet, *, alpha: float, n_tested: int, n_flips: int, seed: int
) -> tuple[EditEffect, ...]:
    """What edits do to the latents of a hypothesis.

    Args:
        values: The hypothesis on its pairs.
        given: The hypothesis, which says in which direction values move if it holds, and its set.
        alpha: The error that is allowed over all hypotheses of the file.
        n_tested: How many those are.
        n_flips: Flips of signs for each edit, where all cannot be counted.
        seed: Of all chance.
    """
    hypothesis, rng = given.hypothesis, np.random.default_rng([seed, given.place, 1])
    moved = [_moved(one, hypothesis, n_flips * max(1, len(values)), rng) for one in values]
    p_e = np.array([np.nan if one.edit.expected == "keeps" else own.p for one, own in zip(values, moved, strict=True)])
    corrected_e = np.minimum(1.0, n_tested * holm(p_e))
    return tuple(
        _effect(one, own, hypothesis, float(p), alpha, bool(given.tried))
        for one, own, p in zip(values, moved, corrected_e, strict=True)
    )


@final
@dataclass(frozen=True)
class _Moved:
    """Edited pictures less originals, and less placebos, with the sign of the claim."""

    change: PairedEffect
    net: PairedEffect

    @property
    def p(self) -> float:
        """That both differ from 0: no larger than alpha by chance more often than alpha, whichever of them is 0."""
        return max(self.change.p, self.net.p)


def _moved(one: PairValues, hypothesis: Hypothesis, n_flips: int, rng: np.random.Generator) -> _Moved:
    sign = _sign(one, hypothesis)
    change, net = (
        paired_effect(sign * base_q, sign * one.after_q, n_flips, rng, one.group_q, one.weight_q)
        for base_q in (one.before_q, one.placebo_q)
    )
    return _Moved(change, net)


def _sign(one: PairValues, hypothesis: Hypothesis) -> int:
    """1 where values rise if the claim holds, -1 where they fall."""
    return 1 if (one.edit.expected == "adds") == (hypothesis.claim == "fires on") else -1


def _effect(
    one: PairValues, moved: _Moved, hypothesis: Hypothesis, p_corrected: float, alpha: float, exploratory: bool
) -> EditEffect:
    keeps, threshold = one.edit.expected == "keeps", hypothesis.latents.threshold
    should_fire = (hypothesis.claim == "fires on") == (one.edit.expected != "adds")
    reference = one.mean(one.before_q) if should_fire else threshold
    smallest = SMALLEST * reference
    own = moved.change if keeps else moved.net
    sign = _sign(one, hypothesis)
    low, high = sorted((sign * own.low, sign * own.high))
    stays = float((np.abs(one.after_q - one.before_q) < smallest).mean())
    if keeps:
        finding = _kept(own, smallest, one.can_rule_out)
    else:
        finding = _found(moved, smallest, p_corrected <= alpha, one.can_rule_out)
    return EditEffect(
        name=one.edit.name,
        expected=one.edit.expected,
        n=len(one.edit.pairs),
        before=one.mean(one.before_q),
        after=one.mean(one.after_q),
        placebo=one.mean(one.placebo_q),
        fires_before=one.mean(one.before_q > threshold),
        fires_after=one.mean(one.after_q > threshold),
        fires_placebo=one.mean(one.placebo_q > threshold),
        effect=sign * own.mean,
        low=low,
        high=high,
        share_as_claimed=stays if keeps else own.share_as_claimed,
        p=None if keeps else moved.p,
        p_corrected=None if keeps else p_corrected,
        reference=reference,
        strength=float(np.mean([pair.strength for pair in one.edit.pairs])),
        placebo_strength=float(np.mean([pair.placebo_strength for pair in one.edit.pairs])),
        finding="undecided" if exploratory else finding,
    )


def _kept(change: PairedEffect, smallest: float, can_rule_out: bool) -> str:
    """Whether an edit that must not matter does not. Where latents are silent on all originals, nothing is to keep."""
    if can_rule_out and -smallest < change.low and change.high < smallest:
        return "as claimed"
    if smallest <= 0:
        return "undecided"
    return "not as claimed" if change.low > smallest or change.high < -smallest else "undecided"


def _found(moved: _Moved, smallest: float, is_significant: bool, can_rule_out: bool) -> str:
    """Whether an edit moves the latents as claimed, both from the originals and from the placebos."""
    both = moved.change, moved.net
    if can_rule_out and any(one.high < smallest for one in both):
        return "not as claimed"
    is_enough = all(one.low > 0 and one.mean >= smallest for one in both)
    return "as claimed" if is_significant and is_enough else "undecided"
