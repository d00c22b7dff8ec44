"""One hypothesis on its set: what is measured, and what that says.

Shape suffix: k = pictures of the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from saev.probing.controls.control import Control
from saev.probing.hypotheses.ledger import LedgerEntry
from saev.probing.sets.labelling import labelling_of
from saev.probing.statistics.arrays import Bools, Floats, Integers
from saev.probing.statistics.bootstrap import Interval, interval
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.permutation import permutation_test
from saev.probing.statistics.sanity import Sanity, sanity
from saev.probing.statistics.scores import Counts, counts, ratio, scores
from saev.probing.statistics.verdict import Evidence, judge
from saev.probing.verdicts.edit_effects import EditEffect
from saev.probing.verdicts.given_sets import GivenSet
from saev.probing.verdicts.result import Confounder, HardNegatives, Matched, Result
from saev.probing.verdicts.values import SetValues

N_DRAWS: Final = 2_000
FEWEST_HARD: Final = 10
"""Of fewer pictures with a role nothing is said."""


@final
@dataclass(frozen=True)
class Measured:
    """What a test measures of one hypothesis."""

    values: SetValues  # On its set.
    effect: Interval  # MCC within strata with the sign of the claim, and its interval.
    p: float  # By permutation.
    matched: Matched | None  # Random latents of the same frequency.
    roles: tuple[HardNegatives, ...]  # Hard negatives.
    confounders: tuple[Confounder, ...]  # What may stand behind the latents.
    sanity: Sanity | None  # Whether the score notices labels that are wrong.


def measured(
    values: SetValues,
    matched: Matched | None,
    guesses: Mapping[str, Bools],
    n_permutations: int,
    rng: np.random.Generator,
) -> Measured:
    """Measure a hypothesis on the sample of its set.

    Args:
        matched: Random latents of the same frequency; None where there are too few.
        guesses: Firing (k,) that is guessed from confounders, by name.
        n_permutations: Permutations of labels.

    Raises:
        InputError: If all pictures are of one group, or no labels can change places within the strata.
    """
    used_k = values.used_k
    y, w = values.y_k[used_k] == 1, values.weights_k[used_k]
    claimed = values.claimed(values.fires_k)[used_k]
    group, drawn_from, stratum = (one[used_k] for one in (values.group_k, values.drawn_from_k, values.stratum_k))
    p = 1.0  # with one label all arrangements are the same
    if 0 < y.sum() < len(y):
        exchange = Exchange.of(y, group, stratum)
        # Weights that were given to labels change places with them, and leave the order of arrangements as it is.
        fixed = None if values.is_by_label else w
        p = permutation_test(claimed, exchange, n_permutations, rng, fixed).p
    return Measured(
        values,
        interval(
            Counts.mcc_within, claimed, y, N_DRAWS, rng, w, group, drawn_from, is_by_label=values.is_by_label,
            confounder_i=stratum,
        ),
        p,
        matched,
        tuple(_hard_negatives(values, rng)),
        tuple(_confounder(name, values.claimed(guess_k)[used_k], y, w, stratum) for name, guess_k in guesses.items()),
        _sanity(claimed, y, w, stratum, rng),
    )  # fmt: skip


def result(
    found: Measured,
    given: GivenSet,
    *,
    p_corrected: float,
    alpha: float,
    n_tested: int,
    strata: str | None,
    controls: Sequence[Control],
    edits: Sequence[EditEffect],
    vit: Mapping[str, object],
) -> Result:
    """What is said of a hypothesis.

    Args:
        found: What was measured.
        p_corrected: The p value, corrected for all hypotheses of the file.
        alpha: The error that is allowed over all of them.
        n_tested: How many those are.
        strata: The confounder within whose values all was measured, if any.
        controls: What else tells the pictures apart.
        edits: What edits do; they stand beside the verdict.
        vit: The ViT whose activations the SAE takes, as the recording has it.
    """
    values, hypothesis, tried = found.values, given.hypothesis, given.tried
    used_k = values.used_k
    y = values.y_k[used_k]
    verdict = judge(
        Evidence(
            estimate=found.effect.estimate,
            low=found.effect.low,
            high=found.effect.high,
            p_corrected=p_corrected,
            n=len(y),
            alpha=alpha,
            smallest_effect=hypothesis.smallest_effect,
            matched_quantile=None if found.matched is None else found.matched.quantile,
            hard_differences=tuple(one.interval for one in found.roles),
            n_tested=n_tested,
            strata=strata,
            n_left=None if tried else given.n_left,
        )
    )
    labeller = labelling_of(given.made)
    circular = None if labeller is None else labeller.circular(hypothesis, vit)
    reason = _exploratory(verdict.reason, tried) if tried else verdict.reason
    if labeller is not None:
        reason += f" Labels are those of {labeller.clip.ckpt}, which may not know the claim."
    if circular is not None:
        reason += f" Circular: {circular}, so that both may be wrong together."
    return Result(
        id=hypothesis.id,
        text=hypothesis.text,
        claim=hypothesis.claim,
        attribute={"source": hypothesis.attribute.source, "name": hypothesis.attribute.name},
        latents={"any": list(hypothesis.latents.any), "unless": list(hypothesis.latents.unless)},
        threshold=hypothesis.latents.threshold,
        smallest_effect=hypothesis.smallest_effect,
        verdict="undecided" if tried else verdict.verdict,
        exploratory=bool(tried),
        reason=reason,
        effect=found.effect.estimate,
        interval=(found.effect.low, found.effect.high),
        p=found.p,
        p_corrected=p_corrected,
        n=len(y),
        n_positive=int((y == 1).sum()),
        n_unsure=given.labelled.n_unsure,
        n_unanswered=given.labelled.n_unanswered,
        n_unrecorded=given.n_unrecorded,
        n_earlier=given.n_earlier,
        n_no_stratum=values.n_no_stratum,
        n_needed=verdict.n_needed,
        scores=scores(values.a_k[used_k], y, hypothesis.latents.threshold, values.weights_k[used_k]),
        sanity=found.sanity,
        matched=found.matched,
        roles=found.roles,
        controls=tuple(controls),
        confounders=found.confounders,
        edits=tuple(edits),
        tried=tuple(tried),
        set_digest=values.made.digest,
        labeller=labeller,
        circular=circular,
    )


def _exploratory(reason: str, tried: Sequence[LedgerEntry]) -> str:
    """What a look at a set that is spent says; never a verdict without this word."""
    return (
        f"Exploratory, so that nothing is decided: these pictures were tested on before ({tried[0].date[:10]}). On "
        f"pictures that nobody has tested on, the same would read: {reason}"
    )


def _hard_negatives(values: SetValues, rng: np.random.Generator) -> Sequence[HardNegatives]:
    """How much more often the latents fire where they should than on pictures of each role, where they should not."""
    fires_k, found = values.fires_k, []
    should_k = values.y_k == (1 if values.hypothesis.claim == "fires on" else 0)
    fitting_k = values.used_k & should_k
    for role in dict.fromkeys(role for one in values.made.pictures for role in one.roles if role != "sample"):
        hard_k = np.array([role in one.roles for one in values.made.pictures]) & (values.y_k >= 0) & ~should_k
        n = int(hard_k.sum())
        if n < FEWEST_HARD or not fitting_k.any():
            continue
        both_k = fitting_k | hard_k
        # Those of the role are no part of a sample, and each counts once.
        weights_k = np.where(hard_k, 1.0, values.weights_k)
        strata_k = np.where(hard_k, len(values.made.strata), values.drawn_from_k)
        difference = interval(
            lambda cells: cells.recall() - ratio(cells.fp, cells.fp + cells.tn),
            fires_k[both_k], fitting_k[both_k], N_DRAWS, rng, weights_k[both_k], values.group_k[both_k],
            strata_k[both_k], is_by_label=True,
        )  # fmt: skip
        found.append(HardNegatives(role, n, float(fires_k[hard_k].mean()), *difference))
    return found


def _confounder(name: str, guess: Bools, y: Bools, w: Floats, stratum: Integers) -> Confounder:
    what = name.removesuffix(" only")
    note = f"firing that is guessed from the {what} alone, as often as the latents fire"
    return Confounder(name, float(counts(guess, y, w, stratum).mcc_within()), note)


def _sanity(claimed: Bools, y: Bools, w: Floats, stratum: Integers, rng: np.random.Generator) -> Sanity | None:
    if min(y.sum(), (~y).sum()) < 2:
        return None
    return sanity(lambda a, labels: float(counts(a > 0, labels, w, stratum).mcc_within()), claimed, y, rng)
