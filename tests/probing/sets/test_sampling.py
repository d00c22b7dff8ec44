"""Samples over the whole range of a latent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.errors import InputError
from saev.probing.sets.sampling import stratified_sample

sizes = st.integers(1, 60)
some_values = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 9.0]), min_size=1, max_size=80)


@given(some_values, sizes, st.integers(0, 5), st.integers(1, 5))
def test_every_sample_stands_for_all_pictures(values: list[float], n: int, seed: int, n_strata: int) -> None:
    values_i = np.array(values)
    try:
        sample = stratified_sample(values_i, n, seed, n_strata)
    except InputError as error:
        assert "too few" in str(error)
        assert n < n_strata + 1
        return
    assert len(set(sample.pictures_k.tolist())) == len(sample.pictures_k) == min(n, len(values_i))
    assert sample.weights_k.sum() == pytest.approx(len(values_i))
    assert sum(stratum.size for stratum in sample.strata) == len(values_i)
    for number, stratum in enumerate(sample.strata):
        own = values_i[sample.pictures_k[sample.strata_k == number]]
        assert len(own) == stratum.n >= 1
        assert ((values_i >= stratum.low) & (values_i <= stratum.high)).sum() == stratum.size
        assert ((own >= stratum.low) & (own <= stratum.high)).all()
    if (values_i == 0).any():
        assert sample.strata[0].high == 0


def test_small_strata_are_taken_whole_and_zeros_give_twice_as_many() -> None:
    rare = np.concatenate([np.zeros(990), np.arange(1.0, 11.0)])
    assert [(s.size, s.n) for s in stratified_sample(rare, 60, 0).strata] == [(990, 50), (3, 3), (2, 2), (2, 2), (3, 3)]
    common = np.concatenate([np.zeros(500), np.linspace(1, 2, 500)])
    assert [s.n for s in stratified_sample(common, 60, 0).strata] == [20, 10, 10, 10, 10]
    assert [s.n for s in stratified_sample(common[500:], 60, 0).strata] == [15, 15, 15, 15]


def test_the_seed_alone_decides() -> None:
    values_i = np.random.default_rng(0).gamma(1, size=500)
    first, again, other = (stratified_sample(values_i, 60, seed).pictures_k.tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_weighted_sums_are_right_on_average_and_the_order_says_nothing() -> None:
    rng = np.random.default_rng(0)
    values_i = rng.gamma(1, size=400) * (rng.random(400) < 0.3)
    y_i = rng.random(400) < np.where(values_i > 1, 0.7, 0.1)
    samples = [stratified_sample(values_i, 40, seed) for seed in range(2000)]
    found = [(sample.weights_k * y_i[sample.pictures_k]).sum() for sample in samples]
    assert np.mean(found) == pytest.approx(y_i.sum(), abs=4 * np.std(found) / np.sqrt(len(found)))
    first = np.mean([values_i[sample.pictures_k[:20]].mean() for sample in samples])
    assert first == pytest.approx(np.mean([values_i[sample.pictures_k[20:]].mean() for sample in samples]), rel=0.03)


def test_nothing_to_choose_from_and_too_few_are_refused() -> None:
    with pytest.raises(InputError, match="no pictures to choose from"):
        stratified_sample(np.empty(0), 60, 0)
    with pytest.raises(InputError, match="4 pictures are too few: there are 5 strata"):
        stratified_sample(np.arange(100.0), 4, 0)
