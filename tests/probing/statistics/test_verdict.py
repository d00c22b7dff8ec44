"""Each branch of the rule, and what it says."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from saev.errors import InputError
from saev.probing.statistics.bootstrap import Interval
from saev.probing.statistics.verdict import Evidence, judge, n_needed

GOOD = Evidence(
    0.52, 0.31, 0.69, p_corrected=0.004, n=60, matched_quantile=0.18, hard_differences=(Interval(0.6, 0.3, 0.8),)
)

HARD = (Interval(-0.1, -0.4, 0.2),)


def test_confirmed() -> None:
    found = judge(GOOD)
    assert (found.verdict, found.n_needed) == ("confirmed", None)
    assert found.reason == (
        "Confirmed: the latent and the label agree by 0.52 (1 is perfect, 0 is chance), with 95 % confidence by 0.31 "
        "to 0.69; shuffled labels hardly ever agree as well (corrected p 0.004), it is at least the 0.20 that matters, "
        "random latents that fire as often stay under 0.18 and pictures that look similar and do not fit the claim do "
        "not speak against it."
    )
    assert judge(replace(GOOD, p_corrected=0.05, estimate=0.2, low=0.01)).verdict == "confirmed"


def test_what_was_not_measured_is_said() -> None:
    found = judge(replace(GOOD, matched_quantile=None, hard_differences=()))
    assert found.verdict == "confirmed"
    assert "random latents that fire as often were not looked at" in found.reason
    assert "pictures that look similar and do not fit the claim were not tested" in found.reason


def test_rejected() -> None:
    found = judge(replace(GOOD, estimate=0.05, low=-0.09, high=0.19, p_corrected=0.001))
    assert (found.verdict, found.n_needed) == ("rejected", None)
    assert found.reason.startswith("Rejected: the latent and the label agree by 0.05")
    assert found.reason.endswith("which is less than the 0.20 that matters.")


@pytest.mark.parametrize(
    ("change", "says", "asks"),
    [
        ({"p_corrected": 0.051}, "shuffled labels agree as well too often (corrected p 0.051)", True),
        ({"low": 0.0}, "no agreement at all cannot be ruled out", True),
        ({"estimate": 0.19, "low": 0.01}, "the 0.20 that matters is not reached but cannot be ruled out", True),
        ({"matched_quantile": 0.52}, "random latents that fire as often reach 0.52", False),
        (
            {"hard_differences": HARD},
            "it fires no less on pictures that look similar and do not fit the claim",
            False,
        ),
        (
            {"hard_differences": (Interval(0.2, -0.02, 0.3),)},
            "it seems to fire less on pictures that look similar and do not fit the claim, but these are too few",
            True,
        ),
    ],
)
def test_undecided(change: dict[str, Any], says: str, asks: bool) -> None:
    found = judge(replace(GOOD, **change))
    assert found.verdict == "undecided"
    assert says in found.reason
    assert (found.n_needed is not None) == asks
    if asks:
        assert f"about {found.n_needed:,} pictures would decide it" in found.reason
    else:
        assert "more pictures of the same kind would not decide it" in found.reason


def test_finding_nothing_is_not_rejection() -> None:
    assert judge(replace(GOOD, estimate=0.0, low=-0.25, high=0.25, p_corrected=1.0)).verdict == "undecided"


def test_all_reasons_are_named() -> None:
    found = judge(
        replace(GOOD, estimate=0.1, low=-0.2, high=0.4, p_corrected=0.3, matched_quantile=0.3, hard_differences=HARD)
    )
    for part in ("too often", "not reached", "random latents", "look similar"):
        assert part in found.reason


def test_pictures_asked_for_follow_the_power_and_the_width_of_the_interval() -> None:
    # Fisher's z +- 1.96 / sqrt(37).
    independent = replace(GOOD, estimate=0.35, low=0.0432, high=0.5965, p_corrected=0.06, n=40)
    asked = judge(independent).n_needed
    assert asked is not None
    assert asked == pytest.approx(n_needed(0.35), rel=0.02)
    grouped = judge(replace(independent, low=-0.3, high=0.78)).n_needed
    assert grouped is not None
    assert grouped > 3 * asked
    several = judge(replace(independent, n_tested=10)).n_needed
    assert several == pytest.approx(n_needed(0.35, alpha=0.01), rel=0.02)  # p is one-sided


def test_an_effect_just_above_what_matters_needs_enough_pictures_to_stay_above_it() -> None:
    asked = judge(replace(GOOD, estimate=0.25, low=-0.03, high=0.49, p_corrected=0.06, n=50)).n_needed
    assert asked is not None
    estimates = np.tanh(np.arctanh(0.25) + np.random.default_rng(0).normal(size=10_000) / np.sqrt(asked - 3))
    assert np.mean(estimates >= 0.2) == pytest.approx(0.8, abs=0.02)
    assert judge(replace(GOOD, estimate=0.2, low=-0.1, high=0.47)).n_needed is None


@pytest.mark.parametrize("against", [{"matched_quantile": 0.6}, {"hard_differences": (Interval(0.0, -0.2, 0.2),)}])
def test_more_pictures_decide_nothing_that_something_else_speaks_against(against: dict[str, Any]) -> None:
    unsure = {"low": -0.1, "p_corrected": 0.2}
    found = judge(replace(GOOD, **against, **unsure))
    assert found.n_needed is None
    assert "if that is how it is, more pictures of the same kind would not decide it" in found.reason
    small = {"estimate": 0.1, "low": -0.05, "high": 0.24}  # but they may show that it is too small
    assert judge(replace(GOOD, **against, **small)).n_needed == judge(replace(GOOD, **small)).n_needed is not None


def test_hard_pictures_that_are_too_few_ask_for_as_many_more_as_their_interval_is_too_wide() -> None:
    unclear = replace(GOOD, hard_differences=(Interval(0.2, -0.05, 0.45),))
    error = 0.25 / 1.96
    assert judge(unclear).n_needed == pytest.approx(GOOD.n * (2.8 * error / 0.2) ** 2, rel=0.01)
    both = judge(replace(unclear, estimate=0.25, low=0.0593, high=0.4231, p_corrected=0.06, n=103))
    assert both.n_needed is not None
    assert both.n_needed > 300


def test_an_effect_at_the_bound_needs_no_number() -> None:
    found = judge(replace(GOOD, estimate=0.1999, low=0.1, high=0.3))
    assert found.n_needed is None
    assert "so near to that bound that no reasonable number of pictures would decide it" in found.reason
    assert judge(replace(GOOD, estimate=1.0, low=0.9, high=1.0, p_corrected=0.1, n=4)).n_needed == 5


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"estimate": float("nan")}, "estimate is an MCC, from -1 to 1, and is nan"),
        ({"matched_quantile": 1.2}, "matched_quantile is an MCC"),
        ({"alpha": 0.0}, "alpha is between 0 and 1"),
        ({"smallest_effect": 1.0}, "smallest_effect is between 0 and 1"),
        ({"p_corrected": float("nan")}, "no verdict can rest on this"),
        ({"low": 0.6, "high": 0.5}, "no verdict can rest on this"),
        ({"n": 0}, "no verdict can rest on this"),
    ],
)
def test_no_verdict_rests_on_what_was_not_measured(change: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        replace(GOOD, **change)


@pytest.mark.parametrize(
    ("n_left", "says"),
    [
        (None, "2,873 pictures would decide it."),
        (0, "2,873 pictures would decide it, and the test half has no more: record others."),
        (325, "2,873 pictures would decide it, and the test half has 325 more: record others."),
        (9000, "2,873 pictures would decide it, and the test half has 9,000 more."),
    ],
)
def test_it_says_whether_enough_pictures_are_left(n_left: int | None, says: str) -> None:
    found = judge(Evidence(estimate=0.15, low=-0.1, high=0.39, p_corrected=0.12, n=60, n_left=n_left))
    assert found.reason.endswith(says)
