"""Intervals cover what is true, for independent pictures, groups, and samples by the latent's values."""

import numpy as np
import pytest
from scipy.stats import norm

from saev.errors import InputError
from saev.probing.statistics.bootstrap import draw_counts, interval
from saev.probing.statistics.scores import Counts, mcc

N_SAMPLES, N_DRAWS = 200, 400
SLACK = 3 * np.sqrt(0.95 * 0.05 / N_SAMPLES)


def test_the_estimate_is_the_score_and_lies_within() -> None:
    rng = np.random.default_rng(0)
    fires, y, w = rng.random(50) < 0.4, rng.random(50) < 0.4, rng.random(50)
    found = interval(Counts.mcc, fires, y, 500, rng, w)
    assert found.estimate == pytest.approx(mcc(fires, y, w))
    assert found.low < found.estimate < found.high
    perfect = interval(Counts.mcc, y, y, 500, rng)
    assert perfect.estimate == perfect.high == 1
    assert perfect.low < 0.97  # fifty pictures without a miss do not prove that there are none


def test_draws_have_the_mean_and_variance_of_samples() -> None:
    """Of 400 independent pictures, where the prior weighs little."""
    rng = np.random.default_rng(1)
    fires, y = np.arange(400) % 2 == 0, np.arange(400) < 100
    drawn = draw_counts(fires, y, 20_000, rng)
    for cell, seen in (("tp", 50), ("fp", 150), ("fn", 50), ("tn", 150)):
        values = getattr(drawn, cell)
        assert values.mean() == pytest.approx((seen + 0.5) * 400 / 402, abs=0.3)
        assert values.var() == pytest.approx(seen * (1 - seen / 400), rel=0.05)
    few = draw_counts(fires, y, 20_000, rng, group_i=np.arange(400) // 10)  # each of one label
    assert (few.tp + few.fn).var() == pytest.approx(400**2 * 0.1875 / 39, rel=0.2)


def test_strata_keep_their_size_and_silent_ones_stay_silent() -> None:
    fires = np.repeat([True, False], [20, 30])
    y = np.tile([True, False], 25)
    drawn = draw_counts(fires, y, 2000, np.random.default_rng(2), stratum_i=fires)
    assert drawn.tp + drawn.fp == pytest.approx(20)
    by_label = draw_counts(y, fires, 100, np.random.default_rng(2), stratum_i=fires, is_by_label=True)
    assert by_label.tp + by_label.fn == pytest.approx(20)


@pytest.mark.parametrize("fires", [False, True])
def test_a_sample_that_shows_one_kind_of_firing_does_not_prove_that_there_is_no_other(fires: bool) -> None:
    y = np.arange(12) < 6
    found = interval(Counts.mcc, np.full(12, fires), y, 2000, np.random.default_rng(2))
    assert found.estimate == 0 and found.low < -0.2 and found.high > 0.2


def test_silence_on_all_positives_of_a_stratum_of_labels_is_not_certain() -> None:
    y = np.repeat([True, False], [6, 40])
    fires = np.arange(46) > 40
    found = interval(Counts.mcc, fires, y, 2000, np.random.default_rng(2), stratum_i=y, is_by_label=True)
    assert found.low < 0 < 0.1 < found.high


def test_pictures_that_are_copies_count_once() -> None:
    rng = np.random.default_rng(3)
    fires, y = rng.random(60) < 0.5, rng.random(60) < 0.5
    copied = interval(Counts.mcc, np.repeat(fires, 4), np.repeat(y, 4), 4000, rng, group_i=np.repeat(np.arange(60), 4))
    once = interval(Counts.mcc, fires, y, 4000, rng)
    assert copied == pytest.approx(once, abs=0.02)


def test_a_group_in_two_strata_has_one_weight() -> None:
    y, is_second = np.tile([True, False], 40), np.repeat([False, True], 40)
    group = np.arange(80) % 40  # the same labels in both strata
    fires = is_second ^ y
    shared, alone = (
        draw_counts(fires, y, 4000, np.random.default_rng(5), group_i=own, stratum_i=is_second) for own in (group, None)
    )
    # The label's share of the first stratum is tp, and that of the second is fn.
    assert np.corrcoef(shared.tp, shared.fn)[0, 1] > 0.85
    assert abs(np.corrcoef(alone.tp, alone.fn)[0, 1]) < 0.1


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    fires, y, w = rng.random(30) < 0.5, rng.random(30) < 0.5, rng.random(30)
    expected = interval(Counts.mcc, fires, y, 500, np.random.default_rng(7), w)
    monkeypatch.setattr("saev.probing.statistics.bootstrap.CELLS", 1000)
    assert interval(Counts.mcc, fires, y, 500, np.random.default_rng(7), w) == expected


def covered(n: int, prevalence: float, kind: str, recall: float, false: float) -> float:
    """Share of samples whose interval covers the true MCC."""
    rng = np.random.default_rng(n)
    hits = 0
    if kind == "by value":  # half of the pictures are silent ones, the others from two bands of values
        fires_share = prevalence * recall + (1 - prevalence) * false
        share = np.array([1 - fires_share, fires_share / 2, fires_share / 2])
        positive = prevalence * recall / fires_share
        chance = np.array([prevalence * (1 - recall) / share[0], 0.7 * positive, 1.3 * positive])
        size = np.array([n // 2, n // 4, n // 4])
        band = np.repeat([0, 1, 2], size)
    true = Counts(
        recall * prevalence, false * (1 - prevalence), (1 - recall) * prevalence, (1 - false) * (1 - prevalence)
    ).mcc()
    for _ in range(N_SAMPLES):
        group = stratum = weights = None
        if kind == "by value":
            fires, y, stratum, weights = band > 0, rng.random(len(band)) < chance[band], band, (share / size)[band]
        elif kind == "in groups":
            group = np.repeat(np.arange(n), rng.integers(1, 4, n))[:n]
            y = (rng.random(n) < prevalence)[group]
            noise = np.sqrt(0.6) * rng.normal(size=n)[group] + np.sqrt(0.4) * rng.normal(size=n)
            fires = noise < norm.ppf(np.where(y, recall, false))
        else:
            y = np.arange(n) < n // 2 if kind == "by label" else rng.random(n) < prevalence
            fires = rng.random(n) < np.where(y, recall, false)
        if kind == "by label":
            stratum, weights = y, np.where(y, prevalence, 1 - prevalence)
        found = interval(Counts.mcc, fires, y, N_DRAWS, rng, weights, group, stratum, is_by_label=kind == "by label")
        hits += found.low <= true <= found.high
    return hits / N_SAMPLES


@pytest.mark.parametrize("kind", ["alone", "in groups", "by value", "by label"])
@pytest.mark.parametrize(
    ("n", "prevalence", "recall", "false"),
    [(60, 0.5, 0.6, 0.15), pytest.param(100, 0.2, 0.6, 0.15, marks=pytest.mark.daily), (100, 0.1, 0.45, 0.02)],
)
def test_they_cover_the_truth_in_93_to_97_percent(
    n: int, prevalence: float, recall: float, false: float, kind: str
) -> None:
    assert 0.93 - SLACK / 2 <= covered(n, prevalence, kind, recall, false) <= 0.97 + SLACK / 2


def test_within_classes_it_covers_the_agreement_that_the_class_does_not_explain() -> None:
    rng = np.random.default_rng(8)
    hits = 0
    for _ in range(N_SAMPLES):
        common = rng.integers(0, 8, 120)
        fires, y = (rng.random(120) < np.where(common < 4, high, 1 - high) for high in (0.85, 0.8))
        found = interval(Counts.mcc_within, fires, y, N_DRAWS, rng, confounder_i=common)
        hits += found.low <= 0 <= found.high
    assert hits / N_SAMPLES >= 0.93 - SLACK / 2
    alone = interval(Counts.mcc_within, fires, y, 500, np.random.default_rng(0), confounder_i=np.zeros(120))
    assert alone == pytest.approx(interval(Counts.mcc, fires, y, 500, np.random.default_rng(0)))


def test_bad_input() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="at least two groups of pictures: 3 pictures are in one"):
        interval(Counts.mcc, [1, 0, 1], [1, 0, 0], 10, rng, group_i=["a", "a", "a"])
    with pytest.raises(InputError, match="at least two groups"):
        draw_counts([], [], 10, rng)
    with pytest.raises(InputError, match="strata are of shape"):
        draw_counts([1, 0], [1, 0], 10, rng, stratum_i=[1])
