"""What a test says of one hypothesis, as it stands in verdicts.json."""

import math
from dataclasses import asdict, dataclass
from typing import Any, TypedDict, final

from saev.errors import InputError
from saev.probing.controls.control import Control
from saev.probing.controls.judging import DIRECTION, RANDOM_SAE
from saev.probing.hypotheses.hypothesis import Claim
from saev.probing.hypotheses.ledger import LedgerEntry
from saev.probing.sets.labelling import Labelling
from saev.probing.statistics.bootstrap import Interval
from saev.probing.statistics.sanity import Sanity
from saev.probing.statistics.scores import Scores
from saev.probing.statistics.verdict import VerdictName
from saev.probing.verdicts.edit_effects import EditEffect


@final
@dataclass(frozen=True)
class Matched:
    """Random latents that fire as often."""

    n: int  # How many.
    quantile: float  # MCC, with the sign of the claim, that 95 % of them stay under.
    frequency: float  # The mean share of pictures of the proposal half on which they fire.
    own_frequency: float  # The share on which the latents of the hypothesis fire there.


@final
@dataclass(frozen=True)
class HardNegatives:
    """Pictures on which the latents should be silent, and are the most likely to fire all the same."""

    role: str  # Why they are in the set.
    n: int  # How many.
    rate: float  # Share of them on which the latents fire.
    difference: float  # That share among the sample's pictures on which they should fire, less `rate`.
    low: float  # Lower end of its 95 % interval.
    high: float  # Upper end.

    @property
    def interval(self) -> Interval:
        """The difference and the ends of its interval."""
        return Interval(self.difference, self.low, self.high)


@final
@dataclass(frozen=True)
class Confounder:
    """What may stand behind a latent."""

    name: str  # What is looked at instead of the picture.
    mcc: float  # Of the label with firing that is guessed from it, with the sign of the claim.
    note: str  # What that says, in a sentence.


class AttributeFacts(TypedDict):
    """What a claim is about: where it is known from, and its name there."""

    source: str
    name: str


class LatentFacts(TypedDict):
    """The latents of a hypothesis: those that fire, and those that silence them."""

    any: list[int]
    unless: list[int]


@final
@dataclass(frozen=True)
class Result:
    """One hypothesis after its test.

    Raises:
        InputError: If the ends of the interval are not two, or do not ascend.
    """

    id: str  # Of the hypothesis.
    text: str  # The claim in words.
    claim: Claim  # "fires on" or "does not fire on".
    attribute: AttributeFacts  # Source and name.
    latents: LatentFacts  # `any` and `unless`.
    threshold: float  # Above which they fire.
    smallest_effect: float  # The smallest MCC that matters.
    verdict: VerdictName  # "confirmed", "rejected" or "undecided", which it always is when exploratory.
    exploratory: bool  # Whether the set, or any of its pictures for this attribute, was tested on before.
    reason: str  # One sentence.
    effect: float
    """MCC with the sign of the claim, of the population that the sample stands for; within strata if given."""
    interval: tuple[float, float]  # Ends of its 95 % interval.
    p: float  # One-sided, by permutation.
    p_corrected: float  # For all hypotheses of the file, and for earlier tests of the attribute.
    n: int  # Pictures that this rests on.
    n_positive: int  # Those with the attribute.
    n_unsure: int  # Pictures of the set of which nobody could say, left out.
    n_unanswered: int  # Pictures of the set that nobody came to, left out.
    n_unrecorded: int  # Pictures of the set that were run through the ViT for this test.
    n_earlier: int  # Tests of the attribute on other pictures of the recording before; p is corrected for them, too.
    n_no_stratum: int  # Labelled pictures of the sample whose value of the confounder nobody knows, left out.
    n_needed: int | None  # Pictures that would decide it; None where it is decided, or no number would.
    scores: Scores  # Of values and firing against the label, as they are: not turned by the claim.
    sanity: Sanity | None  # Whether the score notices labels that are wrong; None where there are too few labels.
    matched: Matched | None  # Random latents of the same frequency; None where there are too few.
    roles: tuple[HardNegatives, ...]  # Hard negatives.
    controls: tuple[Control, ...]  # What else tells the pictures apart, with the sign of the claim.
    confounders: tuple[Confounder, ...]  # What may stand behind it.
    edits: tuple[EditEffect, ...]  # What edits of pictures do to it; they stand beside the verdict, and decide nothing.
    tried: tuple[LedgerEntry, ...]  # Those tests.
    set_digest: str  # Digest of the set.
    labeller: Labelling | None = None
    """The CLIP that labelled the set, and how; None where people did, or labels are known."""
    circular: str | None = None
    """Why agreement with that CLIP says less than it seems to, in words; None where it is not circular."""

    def __post_init__(self) -> None:
        if len(self.interval) != 2 or self.interval[0] > self.interval[1]:
            raise InputError(f"'interval' must be two ascending numbers, found {list(self.interval)}")

    @property
    def untrained(self) -> str | None:
        """What was never trained and reaches a confirmed effect all the same, in words; None where nothing is known to.

        The verdict does not rest on it: the claim may hold, but it is no merit of the SAE.
        """
        if self.verdict != "confirmed":
            return None
        reaching = [one.name for one in self.controls if one.mcc >= self.effect]
        known = {RANDOM_SAE: "an untrained SAE", DIRECTION: "a random direction"}
        return next((f"{words} does as well" for name, words in known.items() if name in reaching), None)

    def to_dict(self) -> dict[str, object]:
        """As JSON; a score that there is not is null."""
        found: dict[str, Any] = asdict(self)
        found["interval"] = list(self.interval)
        found["labeller"] = None if self.labeller is None else self.labeller.to_dict()
        found["scores"] = {key: None if math.isnan(value) else value for key, value in found["scores"].items()}
        return found
