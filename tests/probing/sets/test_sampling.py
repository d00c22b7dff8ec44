"""Samples over the whole range of a latent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.errors import InputError
from saev.probing.sets.sampling import stratified_sample
from saev.probing.statistics.bootstrap import interval
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.permutation import permutation_test
from saev.probing.statistics.scores import Counts, mcc
from saev.probing.statistics.verdict import Evidence, judge

sizes = st.integers(1, 60)
some_values = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 9.0]), min_size=1, max_size=80)


@given(some_values, sizes, st.integers(0, 5), st.sampled_from([0.0, 0.7, 2.0, 10.0]))
def test_every_sample_stands_for_all_pictures(values: list[float], n: int, seed: int, threshold: float) -> None:
    values_i = np.array(values)
    try:
        sample = stratified_sample(values_i, threshold, n, seed)
    except InputError as error:
        assert "too few" in str(error)
        assert n < 5
        return
    assert len(set(sample.pictures_k.tolist())) == len(sample.pictures_k) == min(n, len(values_i))
    assert sample.weights_k.sum() == pytest.approx(len(values_i))
    assert sum(stratum.size for stratum in sample.strata) == len(values_i)
    for number, stratum in enumerate(sample.strata):
        own = values_i[sample.pictures_k[sample.strata_k == number]]
        assert len(own) == stratum.n >= 1
        assert ((values_i >= stratum.low) & (values_i <= stratum.high)).sum() == stratum.size
        assert ((own >= stratum.low) & (own <= stratum.high)).all()
        assert (own > threshold).all() or not (own > threshold).any()
    if (values_i == 0).any():
        assert sample.strata[0].high == 0


def test_a_third_each_fires_is_below_the_threshold_and_silent_and_small_strata_are_taken_whole() -> None:
    common = np.concatenate([np.zeros(500), np.linspace(1, 2, 500)])
    assert [s.n for s in stratified_sample(common, 1.8, 60, 0).strata] == [20, 10, 10, 10, 10]
    assert [s.n for s in stratified_sample(common[500:], 1.8, 60, 0).strata] == [15, 15, 15, 15]
    rare = np.concatenate([np.zeros(990), np.arange(1.0, 11.0)])
    sizes = [(s.size, s.n) for s in stratified_sample(rare, 7.5, 60, 0).strata]
    assert sizes == [(990, 50), (4, 4), (3, 3), (2, 2), (1, 1)]
    equal = np.repeat([0.0, 1, 2, 5], 100)  # of those that fire there is one stratum
    assert [(s.high, s.n) for s in stratified_sample(equal[:300], 1.0, 60, 0).strata] == [(0, 20), (1, 20), (2, 20)]
    never = stratified_sample(common, 3.0, 60, 0).strata
    assert [(s.n, s.high <= 3) for s in never] == [(30, True), (15, True), (15, True)]


def test_the_seed_alone_decides() -> None:
    values_i = np.random.default_rng(0).gamma(1, size=500)
    first, again, other = (stratified_sample(values_i, 1.0, 60, seed).pictures_k.tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_weighted_sums_are_right_on_average_and_the_order_says_nothing() -> None:
    rng = np.random.default_rng(0)
    values_i = rng.gamma(1, size=400) * (rng.random(400) < 0.3)
    y_i = rng.random(400) < np.where(values_i > 1, 0.7, 0.1)
    samples = [stratified_sample(values_i, 1.0, 40, seed) for seed in range(2000)]
    found = [(sample.weights_k * y_i[sample.pictures_k]).sum() for sample in samples]
    assert np.mean(found) == pytest.approx(y_i.sum(), abs=4 * np.std(found) / np.sqrt(len(found)))
    first = np.mean([values_i[sample.pictures_k[:20]].mean() for sample in samples])
    assert first == pytest.approx(np.mean([values_i[sample.pictures_k[20:]].mean() for sample in samples]), rel=0.03)


def test_a_second_sample_stands_for_all_pictures_though_the_first_took_many_that_fire() -> None:
    rng = np.random.default_rng(0)
    values_i = np.concatenate([np.zeros(300), rng.uniform(0, 1, 300), rng.uniform(1, 2, 40)])
    y_i = rng.random(640) < np.where(values_i > 1, 0.6, 0.05)
    found = []
    for seed in range(200):
        free_i = np.ones(640, np.bool_)
        free_i[stratified_sample(values_i, 1.0, 60, seed).pictures_k] = False
        sample = stratified_sample(values_i, 1.0, 60, seed + 1000, free_i)
        assert free_i[sample.pictures_k].all()
        fires_k = values_i[sample.pictures_k] > 1
        assert (sample.weights_k @ fires_k, sample.weights_k.sum()) == pytest.approx((40, 640))
        found.append(sample.weights_k @ y_i[sample.pictures_k])
    assert np.mean(found) == pytest.approx(y_i.sum(), abs=4 * np.std(found) / np.sqrt(len(found)))
    free_i = values_i <= 1  # nothing that fires is left
    assert sum(stratum.size for stratum in stratified_sample(values_i, 1.0, 60, 0, free_i).strata) == 600


def test_nothing_to_choose_from_and_too_few_are_refused() -> None:
    with pytest.raises(InputError, match="no pictures to choose from"):
        stratified_sample(np.empty(0), 1.0, 60, 0)
    with pytest.raises(InputError, match="4 pictures are too few: there are 5 strata"):
        stratified_sample(np.arange(100.0), 50.0, 4, 0)


def rare_latent(rng: np.random.Generator, share: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Values on 400 pictures, a threshold that 5 % exceed, and labels: that share of these, 3 % of the others."""
    values_i = rng.gamma(1, size=400) * (rng.random(400) < 0.6)
    threshold = float(np.quantile(values_i, 0.95))
    return values_i, threshold, rng.random(400) < np.where(values_i > threshold, share, 0.03)


def trials(share: float, n_trials: int, cut_at: float | None = None) -> tuple[float, float, float]:
    """The share of claims that are confirmed, the mean error of the effect, and the share of intervals that cover it.

    Strata are cut at a quantile of the positive values, by default at the threshold.
    """
    rng = np.random.default_rng(0)
    confirmed, errors, covered = [], [], []
    for seed in range(n_trials):
        values_i, threshold, y_i = rare_latent(rng, share)
        cut = threshold if cut_at is None else float(np.quantile(values_i[values_i > 0], cut_at))
        sample = stratified_sample(values_i, cut, 60, seed)
        k, w = sample.pictures_k, sample.weights_k
        fires_k, y_k = values_i[k] > threshold, y_i[k]
        found = interval(Counts.mcc, fires_k, y_k, 200, rng, w, stratum_i=sample.strata_k)
        p = permutation_test(fires_k, Exchange.of(y_k), 199, rng, w).p if 0 < y_k.sum() < len(y_k) else 1.0
        confirmed.append(judge(Evidence(*found, p_corrected=p, n=60)).verdict == "confirmed")
        truth = mcc(values_i > threshold, y_i)
        errors.append(found.estimate - truth)
        covered.append(found.low <= truth <= found.high)
    return float(np.mean(confirmed)), float(np.mean(errors)), float(np.mean(covered))


def test_strata_cut_at_the_threshold_of_a_rare_latent_tell_what_is_true() -> None:
    power, error, covered = trials(0.6, 100)
    assert power >= 0.95
    assert trials(0.6, 100, cut_at=0.5)[0] <= power - 0.2  # quarters of the positive values
    assert abs(error) < 0.08  # a miss among the silent ones is seldom drawn
    assert covered >= 0.9
    by_chance, error, covered = trials(0.03, 100)
    assert by_chance <= 0.05
    assert abs(error) < 0.05
    assert covered >= 0.95
