"""Planted coalitions are found, and thresholds are where they are said to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csc_array
from sklearn.metrics import matthews_corrcoef

from saev.errors import InputError
from saev.probing.hypotheses import coalitions
from saev.probing.hypotheses.coalitions import joined
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
from saev.probing.hypotheses.thresholds import best_threshold, unlabelled_threshold, with_unlabelled_thresholds

N, N_LATENTS = 600, 300


def latents(seed: int) -> tuple[np.random.Generator, NDArray[np.float32]]:
    """Random latents, each of which fires on a tenth of the pictures."""
    rng = np.random.default_rng(seed)
    x_il = rng.gamma(2, size=(N, N_LATENTS)) * (rng.random((N, N_LATENTS)) < 0.1)
    return rng, x_il.astype(np.float32)


def flipped(rng: np.random.Generator, y_i: NDArray[np.bool_], share: float) -> NDArray[np.int8]:
    return (y_i ^ (rng.random(N) < share)).astype(np.int8)


def fires(found: coalitions.Joined, x_il: NDArray[np.float32]) -> NDArray[np.bool_]:
    return found.latents.values(x_il[:, list(found.latents.all)]) > found.latents.threshold


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("at_once", [2**22, 500])
def test_planted_or_is_found(seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalitions, "_AT_ONCE", at_once)
    rng, x_il = latents(seed)
    y_i = flipped(rng, (x_il[:, [11, 250, 42]] > 0.5).any(1), 0.03)
    found = joined(csc_array(x_il), y_i)
    assert set(found.latents.any) == {11, 42, 250}
    assert found.latents.unless == ()
    assert found.mcc[-1] == pytest.approx(matthews_corrcoef(y_i, fires(found, x_il)))
    assert list(found.mcc) == sorted(found.mcc)


@pytest.mark.parametrize("seed", range(5))
def test_planted_and_not_is_found(seed: int) -> None:
    rng, x_il = latents(seed)
    x_il[:, 7] = rng.gamma(2, size=N) * (rng.random(N) < 0.5)
    x_il[:, 9] = rng.gamma(2, size=N) * (rng.random(N) < 0.4)
    y_i = flipped(rng, (x_il[:, 7] > 0) & ~(x_il[:, 9] > 1), 0.03)
    found = joined(csc_array(x_il), y_i)
    assert (found.latents.any, found.latents.unless) == ((7,), (9,))
    assert found.latents.thresholds is not None
    assert found.latents.thresholds[1] == pytest.approx(1, abs=0.3)
    assert found.mcc[-1] == pytest.approx(matthews_corrcoef(y_i, fires(found, x_il)))


def test_what_helps_by_chance_is_joined_once_in_ten_times() -> None:
    n_more = {9: 0, 0: 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x_il = rng.gamma(2, size=(300, 1000)) * (rng.random((300, 1000)) < 0.1)
        y_i = ((x_il[:, [1, 2]] > 0.5).any(1) ^ (rng.random(300) < 0.1)).astype(np.int8)
        for n_shuffles in n_more:
            found = joined(csc_array(x_il), y_i, n_shuffles=n_shuffles, seed=seed).latents.all
            assert {1, 2} <= set(found)
            n_more[n_shuffles] += len(found) > 2
    assert n_more[9] <= 4
    assert n_more[0] >= 18


def test_the_best_latent_is_the_best_of_all_thresholds() -> None:
    rng = np.random.default_rng(0)
    x_il = np.round(rng.gamma(1, size=(50, 6)) * (rng.random((50, 6)) < 0.6), 1)
    y_i = (rng.random(50) < 0.4).astype(np.int8)
    y_i[:5] = -1
    found = joined(csc_array(x_il), y_i, most=1, least_gain=0.0)
    known = y_i >= 0
    every = [
        matthews_corrcoef(y_i[known], x_il[known, latent] > threshold)
        for latent in range(6)
        for threshold in [0, *x_il[known, latent]]
    ]
    assert found.mcc == (pytest.approx(max(every)),)


def test_unlabelled_pictures_do_not_count() -> None:
    rng, x_il = latents(0)
    y_i = flipped(rng, x_il[:, 11] > 0, 0.02)
    known = rng.random(N) < 0.5
    some = joined(csc_array(x_il[known]), y_i[known])
    assert joined(csc_array(x_il), np.where(known, y_i, -1)) == some


def test_at_most_so_many_are_joined_and_only_for_a_gain() -> None:
    rng, x_il = latents(0)
    y_i = flipped(rng, (x_il[:, :4] > 0).any(1), 0.0)
    assert len(joined(csc_array(x_il), y_i, most=3).latents.all) == 3
    assert len(joined(csc_array(x_il), y_i, least_gain=0.9 - joined(csc_array(x_il), y_i, most=1).mcc[0]).mcc) == 1


def test_what_has_no_answer_is_refused() -> None:
    _, x_il = latents(0)
    with pytest.raises(InputError, match="0 of 600 labelled pictures"):
        joined(csc_array(x_il), np.zeros(N, dtype=np.int8))
    with pytest.raises(InputError, match="of no latent 'fires on' the attribute holds"):
        joined(csc_array(x_il * (np.arange(N) >= 9)[:, None]), (np.arange(N) < 9).astype(np.int8))
    with pytest.raises(InputError, match="of no latent 'fires on' the attribute holds"):
        joined(csc_array((N, 5)), (np.arange(N) < 9).astype(np.int8))


@pytest.mark.parametrize(
    ("values", "threshold"),
    [([0, 3], 1.5), ([1, 2], 1.5), ([0, 1, 2, 3], 1.5), ([5, 5, 5], 2.5), ([0, 1, 1, 2], 0.99), ([1, 2, 2], 1.5)],
)
def test_a_threshold_without_labels_lies_under_the_largest_of_few_values(values: list[float], threshold: float) -> None:
    assert unlabelled_threshold(np.array(values, dtype=np.float32)) == pytest.approx(threshold, abs=0.01)


@given(st.integers(0, 1000), st.sampled_from([0.02, 0.3, 1.0]), st.sampled_from([0.3, 1.0, 9.0]))
def test_a_threshold_without_labels_is_exceeded_by_some_and_by_the_upper_half_at_most(
    seed: int, share: float, shape: float
) -> None:
    rng = np.random.default_rng(seed)
    values_i = np.append(rng.gamma(shape, size=400) * (rng.random(400) < share), 1.0)
    fires_i = values_i > unlabelled_threshold(values_i)
    assert 0 < fires_i.sum() <= (values_i > 0).sum() / 2 + 1
    assert fires_i.mean() >= 0.025 or fires_i.sum() >= (values_i > 0).sum() / 2


def test_a_silent_latent_has_no_threshold() -> None:
    with pytest.raises(InputError, match="never fires on the proposal half"):
        unlabelled_threshold(np.zeros(3))


def test_a_hypothesis_gets_the_thresholds_that_it_lacks() -> None:
    bare = Hypothesis("a", AttributeName("words", "stripes"), Latents((4,), (8,)), text="stripes")
    pooled_il = csc_array(np.array([[0, 1], [1, 1], [2, 0], [3, 1.0]]))
    chosen = with_unlabelled_thresholds(bare, pooled_il)
    assert chosen.latents.thresholds == (1.5, 0.5)
    with pytest.raises(InputError, match="hypothesis a, latent 8: the latent never fires"):
        with_unlabelled_thresholds(bare, csc_array(np.array([[1, 0], [2, 0]])))


def test_the_best_threshold_of_a_latent_that_fires_elsewhere_is_found_too() -> None:
    values_i = np.array([0, 1, 2, 3.0])
    assert best_threshold(values_i, np.array([0, 0, 1, -1])) == 1.5
    assert best_threshold(values_i, np.array([1, 1, 0, 0])) == 2.5  # of two that are as bad, the higher one
    assert best_threshold(values_i, np.array([1, 1, 0, -1]), "does not fire on") == 1.5
