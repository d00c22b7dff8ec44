"""What a test says about a hypothesis, and why, in a sentence."""

from dataclasses import dataclass
from math import atanh, ceil
from typing import Final, Literal

from scipy.stats import norm

from saev.errors import InputError
from saev.probing.statistics.bootstrap import Interval

FEWEST: Final = 4
"""Fisher's z has a standard error from four pictures on."""
VerdictName = Literal["confirmed", "rejected", "undecided"]
MOST_PICTURES: Final = 1_000_000
"""More are not asked for."""
POWER: Final = 0.8
NORMAL: Final = float(norm.ppf(0.975))
NEAREST_TO_ONE: Final = 0.99
"""A perfect agreement counts as this much where pictures are asked for: Fisher's z of 1 is infinite."""

_HARD: Final = "pictures that look similar and do not fit the claim"


@dataclass(frozen=True)
class Evidence:
    """What a test of one frozen hypothesis measured. MCC has the sign of the claim: it is positive where it holds.

    Args:
        estimate: MCC at the frozen threshold, on pictures that chose nothing.
        low: Lower end of its 95 % interval.
        high: Upper end.
        p_corrected: One-sided p by permutation, corrected for the hypotheses that were tested together (`holm`).
        n: Pictures.
        alpha: Chance of a false confirmation that is accepted.
        smallest_effect: The smallest MCC that matters.
        matched_quantile: MCC that 95 % of random latents of the same frequency stay under; None where not measured.
        hard_differences: By how much more often the latents fire where they should than on hard negatives, for each
            role of these; none where there were none.
        n_tested: Hypotheses that were tested together.
        strata: The confounder within whose values all of this was measured, if any.
        n_left: Further pictures of the test half, on which nobody has tested it; None where that is not known.

    Raises:
        InputError: If a number is not in its range: something was not measured, and there is no verdict on that.
    """

    estimate: float
    low: float
    high: float
    p_corrected: float
    n: int
    alpha: float = 0.05
    smallest_effect: float = 0.2
    matched_quantile: float | None = None
    hard_differences: tuple[Interval, ...] = ()
    n_tested: int = 1
    strata: str | None = None
    n_left: int | None = None

    def __post_init__(self) -> None:
        effects = {"estimate": self.estimate, "low": self.low, "high": self.high}
        if self.matched_quantile is not None:
            effects["matched_quantile"] = self.matched_quantile
        for name, value in effects.items():
            if not -1 <= value <= 1:
                raise InputError(f"{name} is an MCC, from -1 to 1, and is {value}")
        for name, value in {"alpha": self.alpha, "smallest_effect": self.smallest_effect}.items():
            if not 0 < value < 1:
                raise InputError(f"{name} is between 0 and 1, and is {value}")
        if not (0 <= self.p_corrected <= 1 and self.low <= self.high and self.n > 0 and self.n_tested > 0):
            raise InputError(f"no verdict can rest on this: {self}")


@dataclass(frozen=True)
class Verdict:
    """What is said of a hypothesis.

    Args:
        verdict: "confirmed", "rejected" or "undecided".
        reason: One sentence.
        n_needed: Pictures of the same kind, in a new set, that would decide it with a chance of about 80 %, if all is
            as it is estimated; None where it is decided, or no number of pictures would.
    """

    verdict: VerdictName
    reason: str
    n_needed: int | None = None


def judge(evidence: Evidence) -> Verdict:
    """Apply the rule.

    confirmed: corrected p <= alpha, interval above 0, estimate at least the smallest effect that matters, above the
    95 % quantile of random latents of the same frequency, and firing surely less on hard negatives. rejected: the whole
    interval is under the smallest effect that matters. undecided: everything else; that a test finds nothing rejects
    nothing.

    >>> judge(Evidence(estimate=0.52, low=0.31, high=0.69, p_corrected=0.004, n=60, matched_quantile=0.18)).verdict
    'confirmed'
    >>> found = judge(Evidence(estimate=0.15, low=-0.1, high=0.39, p_corrected=0.12, n=60))
    >>> found.verdict, found.n_needed
    ('undecided', 2873)
    """
    within = "" if evidence.strata is None else f"among pictures of the same {evidence.strata} "
    says = (
        f"{within}the latent and the label agree by {evidence.estimate:.2f} (1 is perfect, 0 is chance), "
        f"with 95 % confidence by {evidence.low:.2f} to {evidence.high:.2f}"
    )
    if evidence.high < evidence.smallest_effect:
        least = f"less than the {evidence.smallest_effect:.2f} that matters"
        return Verdict("rejected", f"Rejected: {says}, which is {least}.")
    uncertain, other = _too_uncertain(evidence), _speaks_against(evidence)
    if not uncertain and not other:
        return Verdict("confirmed", f"Confirmed: {says}; {_in_favour(evidence)}.")
    # Whatever else speaks against it, more pictures may reject what seems too small.
    could_decide = evidence.estimate < evidence.smallest_effect or not other
    n = _n_needed(evidence) if could_decide else None
    advice = _advice(n, could_decide, evidence.n_left)
    return Verdict("undecided", f"Undecided: {says}; {_joined([*uncertain, *other])}; {advice}.", n)


def is_unclear(hard_difference: Interval) -> bool:
    """Whether latents seem to fire less on hard negatives, and this is not certain."""
    return hard_difference.low <= 0 < hard_difference.estimate


def _too_uncertain(evidence: Evidence) -> list[str]:
    """What further pictures could change."""
    found = _of_effect(evidence)
    if any(is_unclear(one) for one in evidence.hard_differences):
        found.append(f"it seems to fire less on {_HARD}, but these are too few to be sure")
    return found


def _of_effect(evidence: Evidence) -> list[str]:
    found = []
    if evidence.p_corrected > evidence.alpha:
        found.append(f"shuffled labels agree as well too often (corrected p {evidence.p_corrected:.2g})")
    if evidence.estimate < evidence.smallest_effect:
        found.append(f"the {evidence.smallest_effect:.2f} that matters is not reached but cannot be ruled out")
    elif evidence.low <= 0:
        found.append("no agreement at all cannot be ruled out")
    return found


def _speaks_against(evidence: Evidence) -> list[str]:
    """What further pictures of the same kind would not change."""
    found = []
    if evidence.matched_quantile is not None and evidence.estimate <= evidence.matched_quantile:
        found.append(f"random latents that fire as often reach {evidence.matched_quantile:.2f}")
    if any(one.estimate <= 0 for one in evidence.hard_differences):
        found.append(f"it fires no less on {_HARD}")
    return found


def _in_favour(evidence: Evidence) -> str:
    found = [
        f"shuffled labels hardly ever agree as well (corrected p {evidence.p_corrected:.2g})",
        f"it is at least the {evidence.smallest_effect:.2f} that matters",
    ]
    if evidence.matched_quantile is None:
        found.append("random latents that fire as often were not looked at")
    else:
        found.append(f"random latents that fire as often stay under {evidence.matched_quantile:.2f}")
    found.append(f"{_HARD} {'do not speak against it' if evidence.hard_differences else 'were not tested'}")
    return _joined(found)


def _advice(n: int | None, could_decide: bool, n_left: int | None) -> str:
    if not could_decide:
        return "if that is how it is, more pictures of the same kind would not decide it"
    if n is None:
        return "it is so near to that bound that no reasonable number of pictures would decide it"
    if n_left is None:
        return f"about {n:,} pictures would decide it"
    if n_left < n:
        left = f"{n_left:,} more" if n_left else "no more"
        return f"about {n:,} pictures would decide it, and the test half has {left}: record others"
    return f"about {n:,} pictures would decide it, and the test half has {n_left:,} more"


def _n_needed(evidence: Evidence) -> int | None:
    """Pictures of a new set that decide it with a chance of about 80 %, if all is as it seems."""
    estimate, low, high = (
        max(-NEAREST_TO_ONE, min(NEAREST_TO_ONE, value)) for value in (evidence.estimate, evidence.low, evidence.high)
    )
    # How much wider the interval is than that of as many independent pictures of equal weight.
    error = (atanh(high) - atanh(low)) / (2 * NORMAL)
    design = error**2 * max(1, evidence.n - 3) or 1.0
    smallest = evidence.smallest_effect
    if estimate < smallest:  # to be rejected
        found = [design * n_needed(estimate, POWER, against=smallest)]
    elif estimate == smallest:
        return None
    else:  # p is one-sided, the interval is two-sided, and the new estimate must not fall under what matters
        level = min(0.05, 2 * evidence.alpha / evidence.n_tested)
        distance = atanh(estimate) - atanh(smallest)
        found = [design * n_needed(estimate, POWER, level), design * (3 + (float(norm.ppf(POWER)) / distance) ** 2)]
        for one in filter(is_unclear, evidence.hard_differences):
            width = (one.high - one.low) / (2 * NORMAL)
            found.append(evidence.n * ((NORMAL + float(norm.ppf(POWER))) * width / one.estimate) ** 2)
    most = max(evidence.n + 1, *map(ceil, found))
    return None if most > MOST_PICTURES else most


def n_needed(correlation: float, power: float = 0.8, alpha: float = 0.05, against: float = 0.0) -> int:
    """Pictures that tell a correlation (MCC is one) from another with the stated power, two-sided.

    By Fisher's z (1921), whose standard error is 1 / sqrt(n - 3): n = 3 + ((z_{1 - alpha / 2} + z_power) /
    (atanh r - atanh r0))^2. For small correlations against 0 that is about (2.8 / r)^2.

    Args:
        correlation: The true one, between -1 and 1.
        power: The chance to find it.
        alpha: The chance to find one that is not there.
        against: What it is told from.

    Raises:
        InputError: If the correlations are equal or not between -1 and 1, or power or alpha is not between 0 and 1.

    >>> n_needed(0.28), n_needed(0.14)
    (98, 399)
    """
    if not (-1 < correlation < 1 and -1 < against < 1 and 0 < power < 1 and 0 < alpha < 1):
        raise InputError(
            f"correlations are between -1 and 1, power and alpha between 0 and 1: "
            f"got {correlation}, {against}, {power} and {alpha}"
        )
    distance = abs(atanh(correlation) - atanh(against))
    if distance == 0:
        raise InputError(f"no number of pictures tells a correlation of {correlation} from itself")
    spread = float(norm.ppf(1 - alpha / 2) + norm.ppf(power))
    # A difference near the smallest double would overflow.
    n = 3 + min((spread / distance), 1e100) ** 2
    return max(FEWEST, ceil(n))


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
