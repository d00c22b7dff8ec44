"""What is chosen and judged on one half of the pictures: no picture is judged by what it chose."""

import numpy as np
import pytest

from saev.probing.candidates.controls import sample
from saev.probing.controls.crossed import LEAST, crossed
from saev.probing.controls.judging import LINEAR, MEANS

N = 300


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, n))


def labels(n: int, seed: int = 1) -> np.ndarray:
    return (np.random.default_rng(seed).random((N, n)) < 0.3).astype(np.int8)


def measured(x: np.ndarray, y: np.ndarray, group: np.ndarray | None = None) -> dict[str, np.ndarray]:
    return crossed({"neuron": x}, "neuron", y, np.ones(y.shape), np.arange(N) if group is None else group, 0).mcc


def test_what_nothing_knows_is_guessed_by_chance() -> None:
    found = measured(noise(400), labels(20))
    for mcc_j in found.values():
        assert abs(mcc_j.mean()) < 0.05
        assert abs(mcc_j).max() < 0.25


def test_what_is_planted_is_found_by_what_can_find_it() -> None:
    y, x = labels(2), noise(60)
    x[:, 7] += 3.0 * y[:, 0]
    x[:, 10:30] += 0.7 * y[:, 1:]
    found = measured(x, y)
    assert found["neuron"][0] > 0.7
    assert found["neuron"][1] < 0.4
    assert min(found[MEANS][1], found[LINEAR][1]) > 0.6


def test_what_passes_what_is_told_from_chance() -> None:
    y, known, better = labels(3), noise(5), noise(5, 2)
    known[:, 0] += 1.5 * y[:, 0]
    better[:, 0] += 3.0 * y[:, 0]
    better[:, 1] += 3.0 * y[:, 1]
    known[:, 2] = better[:, 1]
    found = crossed({"latent": better, "neuron": known}, None, y, np.ones(y.shape), np.arange(N), 0)
    assert found.passed["neuron"][0] > 0.95
    assert found.passed["neuron"][1] == 0.5  # the same column
    assert (found.passed["latent"] == 0.5).all()
    turned = crossed({"neuron": known, "latent": better}, None, y, np.ones(y.shape), np.arange(N), 0)
    assert turned.passed["latent"][0] < 0.05


def test_folds_part_no_unit() -> None:
    """Each unit has a column of its own, and its pictures one label: who parts units learns them by heart."""
    group = np.repeat(np.arange(N // 10), 10)
    x = np.eye(N // 10)[group] + 0.01 * noise(N // 10)
    y = np.repeat(labels(4)[: N // 10], 10, axis=0)
    apart, together = measured(x, y), measured(x, y, group)
    assert apart[LINEAR].min() > 0.9
    assert together[LINEAR].mean() < 0.2


def test_labels_that_are_not_known_count_for_nothing() -> None:
    y, x = labels(2), noise(40)
    x[:, 3] += 3.0 * y[:, 0]
    y[200:, 0] = -1
    x[200:] = 1e6
    found = measured(x, y)
    assert found["neuron"][0] > 0.7
    few = labels(1)
    few[np.flatnonzero(few[:, 0])[LEAST - 1 :]] = 0
    assert np.isnan([mcc[0] for mcc in measured(noise(5), few).values()]).all()


def test_a_sample_has_rare_attributes_whole_and_both_sides() -> None:
    rng = np.random.default_rng(0)
    y = np.zeros((5000, 3), np.int8)
    y[rng.choice(5000, 30, replace=False), 0] = 1
    y[:, 1] = rng.random(5000) < 0.5
    y[:, 2] = -1
    y[:400, 2] = np.arange(400) % 2
    rows, weights = sample(y, 600, rng)
    assert len(rows) == 600
    assert (np.diff(rows) > 0).all()
    assert y[rows, 0].sum() == 30
    for column in (1, 2):
        assert np.bincount(y[rows, column][y[rows, column] >= 0]).min() >= 100
    for column, value in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)):
        assert weights[y[rows, column] == value, column].sum() == pytest.approx((y[:, column] == value).sum())
    rows, weights = sample(y, 5000, rng)
    assert len(rows) == 5000
    assert (weights == 1).all()


def test_pictures_of_a_rare_attribute_weigh_no_more_than_they_are() -> None:
    """A sample has all of them; what fires on them would look worse for all other attributes than it is."""
    rng = np.random.default_rng(0)
    y = np.stack([rng.random(6000) < 0.3, rng.random(6000) < 0.02], axis=1).astype(np.int8)
    found = []
    for seed in range(20):
        rows, weights = sample(y, 500, np.random.default_rng(seed))
        assert y[rows, 1].sum() == y[:, 1].sum()
        without = weights[:, 0] * (y[rows, 0] == 0)
        found.append(without @ y[rows, 1] / without.sum())
    assert np.mean(found) == pytest.approx(y[y[:, 0] == 0, 1].mean(), rel=0.1)


@pytest.mark.parametrize("claimed", [1, 0])
def test_weights_say_for_how_many_pictures_one_stands(claimed: int) -> None:
    """With the pictures of one side sampled, the MCC is that of all."""
    y, x = labels(1), noise(3)
    x[:, 0] += 1.5 * y[:, 0]
    rare = np.flatnonzero(y[:, 0] == claimed)
    some = np.sort(np.concatenate([rare[::2], np.flatnonzero(y[:, 0] != claimed)]))
    weights = np.where(y[some] == claimed, len(rare) / len(rare[::2]), 1.0)
    of_all = measured(x, y)["neuron"][0]
    of_some = crossed({"neuron": x[some]}, None, y[some], weights, np.arange(len(some)), 0).mcc["neuron"][0]
    assert of_some == pytest.approx(of_all, abs=0.12)
