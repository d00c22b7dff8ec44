"""Sign flips of paired differences."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from saev.errors import InputError
from saev.probing.statistics.paired import mean_interval, paired_effect, sign_flip

RNG = np.random.default_rng(0)


def test_six_of_six_is_the_fewest_that_reaches_five_percent() -> None:
    assert sign_flip([1] * 6, 100, RNG) == sign_flip([-1, -2, -3, -4, -5, -6], 100, RNG) == 0.03125
    assert sign_flip([1] * 5, 100, RNG) == 0.0625


def test_all_flips_are_counted() -> None:
    difference = np.array([0.3, -0.1, 0.7, 0.2, 0.2, 1.1, -0.4])
    sums = [abs(np.dot(signs, difference)) for signs in product([-1, 1], repeat=7)]
    expected = np.mean(np.array(sums) >= abs(difference.sum()) - 1e-9)
    assert sign_flip(difference, 100, RNG) == pytest.approx(expected)
    drawn = sign_flip(np.repeat(difference, 2), 100, RNG, group_i=np.repeat(np.arange(7), 2))
    assert drawn == pytest.approx(expected)


def test_pairs_that_do_not_differ_say_nothing() -> None:
    assert sign_flip([0, 0, 0], 100, RNG) == 1
    assert sign_flip([1] * 6 + [0] * 50, 100, RNG) == 0.03125


def test_many_pairs_are_drawn_and_p_is_uniform_without_an_effect() -> None:
    rng = np.random.default_rng(1)
    p = np.array([sign_flip(rng.standard_t(3, 20), 199, rng) for _ in range(600)])
    for level in (0.05, 0.2, 0.5):
        assert np.mean(p <= level) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 600))
    assert sign_flip(np.ones(40), 999, rng) == 0.001


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    difference = np.random.default_rng(2).normal(0.2, 1, 30)
    expected = sign_flip(difference, 500, np.random.default_rng(3))
    monkeypatch.setattr("saev.probing.statistics.paired.SLAB", 100)
    assert sign_flip(difference, 500, np.random.default_rng(3)) == expected


def test_effect_of_an_edit() -> None:
    found = paired_effect([0, 0, 0, 2], [1, 1, 0, 1], 100, RNG)
    assert (found.n, found.mean, found.share_as_claimed) == (4, 0.25, 0.5)


def test_interval_of_a_mean() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(1, 2, 30)
    theirs = ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean_interval(values), theirs)
    np.testing.assert_allclose(mean_interval(np.repeat(values, 3), np.repeat(np.arange(30), 3)), theirs)
    assert mean_interval([1, 2], ["a", "a"]) == (-np.inf, np.inf)
    # A weight of 2 is a picture that stands twice in its group.
    twice = [1, 1, 2, 3, 4], [0, 0, 1, 2, 3]
    np.testing.assert_allclose(mean_interval([1, 2, 3, 4], weight_i=[2, 1, 1, 1]), mean_interval(*twice))
    weighted = paired_effect(np.zeros(4), [1, 2, 3, 4], 100, RNG, weight_i=[2, 1, 1, 1])
    repeated = paired_effect(np.zeros(5), twice[0], 100, RNG, group_i=twice[1])
    assert (weighted.mean, weighted.p) == (repeated.mean, repeated.p) == (11 / 5, 0.125)
    found = paired_effect(np.zeros(30), values, 100, rng)
    assert (found.low, found.high) == mean_interval(values)


def test_interval_of_a_mean_covers_it_with_groups_and_not_without() -> None:
    rng = np.random.default_rng(6)
    ends, naive = [], []
    for _ in range(1000):
        group = np.repeat(np.arange(30), rng.integers(1, 6, 30))
        values = rng.normal(size=30)[group] + rng.normal(size=len(group))
        ends.append(mean_interval(values, group))
        naive.append(mean_interval(values))
    assert 0.93 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.97
    assert np.mean([low <= 0 <= high for low, high in naive]) < 0.88


def test_bad_input() -> None:
    with pytest.raises(InputError, match="no pairs"):
        sign_flip([], 100, RNG)
    with pytest.raises(InputError, match="as many values before as after"):
        paired_effect([1, 2], [1], 100, RNG)
    with pytest.raises(InputError, match="no values"):
        mean_interval([])
    with pytest.raises(InputError, match="not finite"):
        sign_flip([1, np.inf], 100, RNG)
    with pytest.raises(InputError, match="groups are of shape"):
        sign_flip([1, 2], 100, RNG, group_i=[1])
