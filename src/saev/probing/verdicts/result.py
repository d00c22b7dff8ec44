"""What a test says of one hypothesis, as it stands in verdicts.json."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, Final, Self, TypeVar, cast, final, get_args, get_type_hints

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
from saev.shards.format.strict_json import JsonObject

Made = TypeVar("Made")


@final
@dataclass(frozen=True)
class Matched:
    """Random latents that fire as often.

    Args:
        n: How many.
        quantile: MCC, with the sign of the claim, that 95 % of them stay under.
        frequency: The mean share of pictures of the proposal half on which they fire.
        own_frequency: The share on which the latents of the hypothesis fire there.
    """

    n: int
    quantile: float
    frequency: float
    own_frequency: float


@final
@dataclass(frozen=True)
class HardNegatives:
    """Pictures on which the latents should be silent, and are the most likely to fire all the same.

    Args:
        role: Why they are in the set.
        n: How many.
        rate: Share of them on which the latents fire.
        difference: That share among the sample's pictures on which they should fire, less `rate`.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    role: str
    n: int
    rate: float
    difference: float
    low: float
    high: float

    @property
    def interval(self) -> Interval:
        """The difference and the ends of its interval."""
        return Interval(self.difference, self.low, self.high)


@final
@dataclass(frozen=True)
class Confounder:
    """What may stand behind a latent.

    Args:
        name: What is looked at instead of the picture.
        mcc: Of the label with firing that is guessed from it, with the sign of the claim.
        note: What that says, in a sentence.
    """

    name: str
    mcc: float
    note: str


@final
@dataclass(frozen=True)
class Result:
    """One hypothesis after its test.

    Args:
        id: Of the hypothesis.
        text: The claim in words.
        claim: "fires on" or "does not fire on".
        attribute: Source and name.
        latents: `any` and `unless`.
        threshold: Above which they fire.
        smallest_effect: The smallest MCC that matters.
        verdict: "confirmed", "rejected" or "undecided", which it always is when exploratory.
        exploratory: Whether the set, or any of its pictures for this attribute, was tested on before.
        reason: One sentence.
        effect: MCC with the sign of the claim, of the population that the sample stands for; within strata if given.
        interval: Ends of its 95 % interval.
        p: One-sided, by permutation.
        p_corrected: For all hypotheses of the file, and for earlier tests of the attribute.
        n: Pictures that this rests on.
        n_positive: Those with the attribute.
        n_unsure: Pictures of the set of which nobody could say, left out.
        n_unanswered: Pictures of the set that nobody came to, left out.
        n_unrecorded: Pictures of the set that were run through the ViT for this test.
        n_earlier: Tests of the attribute on other pictures of the recording before; p is corrected for them, too.
        n_no_stratum: Labelled pictures of the sample whose value of the confounder nobody knows, left out.
        n_needed: Pictures that would decide it; None where it is decided, or no number would.
        scores: Of values and firing against the label, as they are: not turned by the claim.
        sanity: Whether the score notices labels that are wrong; None where there are too few labels.
        matched: Random latents of the same frequency; None where there are too few.
        roles: Hard negatives.
        controls: What else tells the pictures apart, with the sign of the claim.
        confounders: What may stand behind it.
        edits: What edits of pictures do to it; they stand beside the verdict, and decide nothing.
        tried: Those tests.
        set_digest: Digest of the set.
        labeller: The CLIP that labelled the set, and how; None where people did, or labels are known.
        circular: Why agreement with that CLIP says less than it seems to, in words; None where it is not circular.
    """

    id: str
    text: str
    claim: Claim
    attribute: dict[str, str]
    latents: dict[str, list[int]]
    threshold: float
    smallest_effect: float
    verdict: VerdictName
    exploratory: bool
    reason: str
    effect: float
    interval: tuple[float, float]
    p: float
    p_corrected: float
    n: int
    n_positive: int
    n_unsure: int
    n_unanswered: int
    n_unrecorded: int
    n_earlier: int
    n_no_stratum: int
    n_needed: int | None
    scores: Scores
    sanity: Sanity | None
    matched: Matched | None
    roles: tuple[HardNegatives, ...]
    controls: tuple[Control, ...]
    confounders: tuple[Confounder, ...]
    edits: tuple[EditEffect, ...]
    tried: tuple[LedgerEntry, ...]
    set_digest: str
    labeller: Labelling | None = None
    circular: str | None = None

    def labelled_by(self, labeller: Labelling | None, circular: str | None) -> Self:
        """The same of a set that a CLIP labelled; the reason says so, and where that is circular.

        Args:
            labeller: The CLIP; None gives what there is.
            circular: Why it is circular, None where it is not.
        """
        more = "" if labeller is None else f" Labels are those of {labeller.clip.ckpt}, which may not know the claim."
        more += "" if circular is None else f" Circular: {circular}, so that both may be wrong together."
        return replace(self, labeller=labeller, circular=circular, reason=self.reason + more)

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

    @classmethod
    def from_json(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: For anything that `to_dict` does not give.
        """
        found = JsonObject(value, where, [field.name for field in fields(cls)])
        attribute = JsonObject(found.mapping("attribute"), f"{where}: attribute", ("source", "name"))
        latents = JsonObject(found.mapping("latents"), f"{where}: latents", ("any", "unless"))
        assert isinstance(value, dict), "checked"
        facts: dict[str, Any] = {
            **{key: found.text(key) for key in ("id", "text", "reason", "set_digest")},
            **{key: found.number(key) for key in ("threshold", "smallest_effect", "effect", "p", "p_corrected")},
            **{key: found.integer(key) for key in _NUMBERS},
        }
        return cls(
            claim=cast("Claim", found.choice("claim", get_args(Claim))),
            verdict=cast("VerdictName", found.choice("verdict", get_args(VerdictName))),
            attribute={key: attribute.text(key) for key in ("source", "name")},
            latents={key: list(latents.integers(key, len(latents.array(key)))) for key in ("any", "unless")},
            interval=_pair(found, where),
            exploratory=found.boolean("exploratory"),
            n_needed=found.optional_integer("n_needed"),
            labeller=_labeller(value["labeller"], f"{where}: labeller"),
            circular=found.optional_text("circular"),
            scores=_plain(Scores, found.mapping("scores"), f"{where}: scores"),
            sanity=_optional(Sanity, value["sanity"], f"{where}: sanity"),
            matched=_optional(Matched, value["matched"], f"{where}: matched"),
            roles=_each(found, "roles", where, partial(_plain, HardNegatives)),
            controls=_each(found, "controls", where, partial(_plain, Control)),
            confounders=_each(found, "confounders", where, partial(_plain, Confounder)),
            edits=_each(found, "edits", where, partial(_plain, EditEffect)),
            tried=_each(found, "tried", where, LedgerEntry.from_json),
            **facts,
        )


_NUMBERS: Final = ("n", "n_positive", "n_unsure", "n_unanswered", "n_unrecorded", "n_earlier", "n_no_stratum")


def _pair(found: JsonObject, where: str) -> tuple[float, float]:
    interval = found.numbers("interval")
    if len(interval) != 2 or interval[0] > interval[1]:
        raise InputError(f"{where}: 'interval' must be two ascending numbers, found {list(interval)}")
    return interval[0], interval[1]


def _labeller(value: object, where: str) -> Labelling | None:
    return None if value is None else Labelling.from_json(value, where)


def _optional(kind: type[Made], value: object, where: str) -> Made | None:
    return None if value is None else _plain(kind, value, where)


def _each(found: JsonObject, key: str, where: str, make: Callable[[object, str], Made]) -> tuple[Made, ...]:
    return tuple(make(one, f"{where}: {key}[{number}]") for number, one in enumerate(found.array(key)))


def _plain(kind: type[Made], value: object, where: str) -> Made:
    """A dataclass of texts, numbers and truths; of scores those that are null are not a number."""
    hints = get_type_hints(kind)
    found = JsonObject(value, where, hints)
    facts: dict[str, Any] = {}
    for key, hint in hints.items():
        if hint is float:
            number = found.optional_number(key) if kind is Scores else found.number(key)
            facts[key] = math.nan if number is None else number
        else:
            get: dict[Any, Callable[[str], Any]] = {
                str: found.text,
                int: found.integer,
                bool: found.boolean,
                float | None: found.optional_number,
            }
            facts[key] = get[hint](key)
    return kind(**facts)
