"""The best column equals a look at all thresholds; probes are fitted on what they do not score."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from saev.probing.controls import choosing, probes
from saev.probing.controls.choosing import best_column
from saev.probing.controls.control import Control, ControlTask, LabelledPictures
from saev.probing.controls.judging import Judge
from saev.probing.statistics.scores import mcc

RNG = np.random.default_rng(0)
N = 40
Y_I = RNG.random(N) < 0.3
W_I = RNG.uniform(0.5, 3, N)
X_IS = np.round(RNG.normal(size=(N, 7)), 1) * (RNG.random((N, 7)) < 0.6)  # with ties, and of both signs


def brute(x_is: np.ndarray) -> float:
    return max(mcc(x_s > t, Y_I, W_I) for x_s in x_is.T for t in np.unique(x_s)[:-1])


@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_best_of_all_columns_and_thresholds(is_sparse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x_is = sparse.csc_array(X_IS) if is_sparse else X_IS
    found = best_column(x_is, Y_I, W_I)
    assert found.mcc == pytest.approx(brute(X_IS))
    assert mcc(X_IS[:, found.column] > found.threshold, Y_I, W_I) == pytest.approx(found.mcc)
    monkeypatch.setattr(choosing, "AT_ONCE", 2 * N)
    assert best_column(x_is, Y_I, W_I) == found


def test_columns_without_differences_fire_nowhere_or_everywhere() -> None:
    found = best_column(np.ones((N, 2)), Y_I, W_I)
    assert found.column == 0


@pytest.mark.parametrize("size", [1, 3])
def test_folds_part_no_group_and_have_both_labels_outside(size: int) -> None:
    group_i = np.arange(N) // size
    fold_i = probes.folds(Y_I, group_i, np.random.default_rng(0))
    assert fold_i is not None
    assert len(np.unique(fold_i)) == 5
    for group in np.unique(group_i):
        assert len(np.unique(fold_i[group_i == group])) == 1
    for fold in range(5):
        assert 0 < Y_I[fold_i != fold].sum() < (fold_i != fold).sum()


def test_too_few_groups_have_no_folds() -> None:
    assert probes.folds(Y_I, Y_I.astype(np.int64), np.random.default_rng(0)) is None


@pytest.mark.parametrize("fit", [probes.linear(0.1), probes.class_means, probes.sparse_linear(2)])
def test_noise_is_not_told_on_pictures_that_fitted_nothing(fit: probes.Fit) -> None:
    """In sample a probe of 200 columns tells 100 pictures apart; the folds that are left out it does not."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(20):
        x_is, y_i = rng.normal(size=(100, 200)), rng.permutation(np.arange(100) < 30)
        fold_i = probes.folds(y_i, np.arange(100), rng)
        assert fold_i is not None
        scores = probes.probed(fit, x_is, y_i, fold_i, x_is)
        found.append((np.corrcoef(scores.fitted_i, y_i)[0, 1], np.corrcoef(scores.others_i, y_i)[0, 1]))
    outside, inside = np.mean(found, axis=0)
    assert abs(outside) < 0.15
    assert inside > 0.35


@pytest.mark.parametrize("is_sparse", [False, True])
def test_columns_that_tell_the_same_are_taken_once(is_sparse: bool) -> None:
    rng = np.random.default_rng(2)
    x_is = rng.random((60, 5)) * (rng.random((60, 5)) < 0.5)
    x_is[:, 3] = 2 * x_is[:, 1]
    x_is[:, 4] = 7.0  # a constant
    y_i = (x_is[:, 1] > 0) | (x_is[:, 2] > 0)
    found = probes.most_telling(sparse.csc_array(x_is) if is_sparse else x_is, y_i, 5)
    assert {found[0] % 2 == 1, found[1] % 2 == 1} == {True, False}
    assert set(found[:2]) in ({1, 2}, {3, 2})
    assert sorted(found) in ([0, 1, 2], [0, 2, 3])  # a copy and a constant add nothing


def test_a_control_is_judged_within_the_confounder_and_the_strata_of_its_sample() -> None:
    """A column that knows the class alone is worth nothing within classes, and silence on all positives is not sure."""
    rng = np.random.default_rng(0)
    class_k = rng.random(400) < 0.5
    y_k = rng.random(400) < np.where(class_k, 0.8, 0.2)
    pictures = LabelledPictures(np.arange(400), y_k, np.arange(400))
    other = LabelledPictures(np.arange(400, 404), np.arange(4) < 2, np.arange(4))

    def control(a_k: np.ndarray, **facts: Any) -> Control:
        return Judge(ControlTask(other, replace(pictures, **facts)), 500, 0).of_values("x", a_k, 0.5, "")

    alone, within = control(class_k * 1.0), control(class_k * 1.0, confounder_i=class_k.astype(np.int64))
    assert alone.low > 0.4
    assert within.mcc == pytest.approx(0)
    assert within.auroc == alone.auroc
    knows = control(y_k * 1.0, confounder_i=class_k.astype(np.int64))
    assert knows.mcc == pytest.approx(1)
    silent = np.where(y_k, 0.0, rng.random(400) < 0.1)
    strata = y_k.astype(np.int64)
    by_label = control(silent, stratum_i=strata, is_by_label=True)
    by_value = control(silent, stratum_i=strata)
    assert by_label.high > by_value.high
