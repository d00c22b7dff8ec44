"""Scores of one latent against scikit-learn and scipy, with ties and weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn import metrics

from saev.errors import InputError
from saev.probing.statistics import scores as own
from saev.probing.statistics.scores import mcc, scores

Case = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Values with many ties, labels of both kinds, and weights, of which some are 0."""
    n = draw(st.integers(4, 40))
    a = draw(st.lists(st.sampled_from([-1.5, 0.0, 0.0, 0.25, 2.0, 1e3]), min_size=n, max_size=n))
    y = draw(st.lists(st.booleans(), min_size=n - 2, max_size=n - 2))
    w = draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.0]), min_size=n - 2, max_size=n - 2))
    return np.array(a), np.array([*y, True, False]), np.array([*w, 1.0, 2.0])


@settings(max_examples=200, deadline=None)
@given(cases(), st.booleans())
def test_they_equal_scikit_learn(case: Case, is_weighted: bool) -> None:
    a, y, w = case
    weights = w if is_weighted else None
    fires = a > 0
    given = {"sample_weight": weights}
    theirs = {
        "mcc": metrics.matthews_corrcoef(y, fires, **given),
        "f1": metrics.f1_score(y, fires, zero_division=0, **given),
        "iou": metrics.jaccard_score(y, fires, zero_division=0, **given),
        "precision": metrics.precision_score(y, fires, zero_division=0, **given),
        "recall": metrics.recall_score(y, fires, zero_division=0, **given),
        "auroc": metrics.roc_auc_score(y, a, **given),
        "average_precision": metrics.average_precision_score(y, a, **given),
    }
    found = scores(a, y, 0, weights)
    for name, value in theirs.items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-6), name
        if name in ("auroc", "average_precision"):
            assert getattr(own, name)(a, y, weights) == getattr(found, name)
    assert mcc(fires, y, weights) == found.mcc
    assert (found.n, found.n_positive) == (len(y), y.sum())
    assert found.prevalence == pytest.approx(np.average(y, weights=weights))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_correlation_equals_scipy_and_weights_are_repetitions(case: Case) -> None:
    a, y, w = case
    if np.ptp(a) > 0:
        assert own.correlation(a, y) == pytest.approx(pearsonr(a, y).statistic, abs=1e-6)
    times = (2 * w).astype(int)
    repeated = scores(np.repeat(a, times), np.repeat(y, times), 0)
    weighted = scores(a, y, 0, times)
    for name in ("mcc", "f1", "correlation", "average_precision", "auroc", "prevalence"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), abs=1e-9), name


def test_mcc_is_the_correlation_of_firing_and_label() -> None:
    rng = np.random.default_rng(0)
    fires, y = rng.random((2, 200)) < 0.3
    assert own.mcc(fires, y) == pytest.approx(own.correlation(fires, y), abs=1e-12)


@pytest.mark.parametrize("fires", [np.ones(5), np.zeros(5)])
def test_a_latent_that_always_or_never_fires_says_nothing(fires: np.ndarray) -> None:
    y = np.array([1, 1, 0, 0, 0])
    found = scores(fires, y, 0.5)
    assert (found.mcc, found.correlation, found.auroc) == (0, 0, 0.5)
    assert found.average_precision == pytest.approx(found.prevalence)


def test_what_labels_of_one_kind_cannot_say_is_not_a_number() -> None:
    none, all_of_them = scores([1, 2, 3], [0, 0, 0], 0), scores([1, 2, 3], [1, 1, 1], 0)
    assert np.isnan([none.auroc, none.average_precision, all_of_them.auroc]).all()
    assert all_of_them.average_precision == 1
    assert none.mcc == all_of_them.mcc == 0


def test_it_fires_above_the_threshold_not_at_it() -> None:
    assert scores([0, 1, 2], [0, 0, 1], threshold=1).mcc == 1


@pytest.mark.parametrize(
    ("a", "y", "w", "match"),
    [
        ([1, 2], [0, 2], None, "labels are 0 and 1, and one is 2"),
        ([1, 2], [0, -1], None, "labels are 0 and 1, and one is -1"),
        ([1, np.nan], [0, 1], None, "values hold 1 that are not finite"),
        ([1, 2, 3], [0, 1], None, r"values are of shape \(3,\), and the pictures are 2"),
        ([1, 2], [0, 1], [1, -1], "weights are numbers of at least 0"),
        ([1, 2], [0, 1], [0, 0], "weights are numbers of at least 0"),
        ([1, 2], [0, 1], [1], r"weights are of shape \(1,\)"),
    ],
)
def test_bad_input(a: list[float], y: list[int], w: list[float] | None, match: str) -> None:
    with pytest.raises(InputError, match=match):
        scores(a, y, 0, w)


def test_mcc_of_weights_is_never_above_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        y_i, weights_i = np.arange(9) < 4, rng.uniform(0.1, 10, 9)
        assert mcc(y_i, y_i, weights_i) <= 1
        assert mcc(~y_i, y_i, weights_i) >= -1
