"""All latents at once against one at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import mannwhitneyu, pearsonr

from saev.errors import InputError
from saev.probing.statistics.all_latents import correlations, latent_scores
from saev.probing.statistics.scores import scores


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.integers(2, 60))
def test_they_equal_the_scores_of_each_pair(seed: int, is_signed: bool, n: int) -> None:
    rng = np.random.default_rng(seed)
    a = np.round(rng.normal(size=(n, 6)), 1) * (rng.random((n, 6)) < rng.random(6))
    a = (a if is_signed else np.abs(a)).astype(np.float32)
    a[:, 0], a[:, 1] = 0, 0.1
    y = rng.integers(-1, 2, (n, 5)).astype(np.int8)
    y[:, 0], y[:, 1], y[:, 2] = 0, 1, rng.integers(0, 2, n)
    found = latent_scores(sparse.csc_array(a), y)
    for latent, attribute in np.ndindex(6, 5):
        known = y[:, attribute] >= 0
        values, labels = a[known, latent], y[known, attribute]
        if not known.any():
            assert found.mcc[latent, attribute] == 0 and np.isnan(found.auroc[latent, attribute])
            continue
        one = scores(values, labels, float(found.threshold[latent, attribute]))
        for name in ("mcc", "f1", "correlation", "average_precision", "auroc"):
            here = getattr(found, name)[latent, attribute]
            np.testing.assert_allclose(here, getattr(one, name), atol=1e-6, err_msg=name)
        best = max((scores(values, labels, t).mcc for t in np.unique(values)[:-1]), default=0)
        assert one.mcc == pytest.approx(best, abs=1e-6)
        worst = min((scores(values, labels, t).mcc for t in np.unique(values)[:-1]), default=0)
        assert found.lowest_mcc[latent, attribute] == pytest.approx(worst, abs=1e-6)
        there = scores(values, labels, float(found.lowest_threshold[latent, attribute]))
        assert there.mcc == pytest.approx(worst, abs=1e-6)


def test_explicit_zeros_and_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    pooled = sparse.random_array((50, 8), density=0.3, format="csc", rng=rng)
    y = rng.integers(-1, 2, (50, 7))
    expected = latent_scores(pooled, y)
    holed = pooled.copy()
    holed.data[::3] = 0
    cleaned = holed.copy()
    cleaned.eliminate_zeros()
    done: list[int] = []
    monkeypatch.setattr("saev.probing.statistics.all_latents.CELLS", 60)
    for name, value in vars(latent_scores(pooled, y, done.append)).items():
        np.testing.assert_array_equal(value, getattr(expected, name))
    assert sum(done) == 8 * 7
    for name, value in vars(latent_scores(holed, y)).items():
        np.testing.assert_allclose(value, getattr(latent_scores(cleaned, y), name), atol=1e-7)


def test_p_is_that_of_the_rank_sum_where_labels_are_balanced() -> None:
    rng = np.random.default_rng(1)
    a = np.maximum(rng.normal(size=(80, 30)), 0)
    y = np.repeat([0, 1], 40)
    a[y == 1] += rng.random(30) * (a[y == 1] > 0)
    found = latent_scores(sparse.csc_array(a), y[:, None]).p[:, 0]
    theirs = mannwhitneyu(a[y == 1], a[y == 0], method="asymptotic").pvalue
    np.testing.assert_allclose(found, theirs, atol=1e-6)


@pytest.mark.parametrize("n_positive", [3, 8, 80])
def test_p_holds_for_sparse_latents_and_rare_attributes(n_positive: int) -> None:
    """Where the normal approximation calls one pair in a hundred a discovery at 1e-6."""
    rng = np.random.default_rng(n_positive)
    pooled = sparse.random_array((400, 500), density=0.04, format="csc", rng=rng)
    y = np.zeros((400, 200), np.int8)
    for column in y.T:
        column[rng.choice(400, n_positive, replace=False)] = 1
    p = latent_scores(pooled, y).p
    for level in (1e-2, 1e-3, 1e-4):
        assert (p <= level).mean() <= 1.6 * level
    assert (p <= 1e-6).sum() <= 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 1e4]))
def test_correlations_equal_scipy(seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(30, 4)) * (rng.random((30, 4)) < 0.5) + offset
    a[:5] += np.arange(5)[:, None]
    x = rng.normal(size=(30, 5)) + offset
    x[5:][rng.random((25, 5)) < [0, 0, 0.2, 0.5, 0]] = np.nan
    found = correlations(sparse.csc_array(a), x)
    for latent, attribute in np.ndindex(4, 5):
        known = ~np.isnan(x[:, attribute])
        theirs = pearsonr(a[known, latent], x[known, attribute])
        assert found.r[latent, attribute] == pytest.approx(theirs.statistic, abs=1e-6)
        assert found.p[latent, attribute] == pytest.approx(theirs.pvalue, abs=1e-6)


def test_constants_correlate_with_nothing() -> None:
    a = np.stack([np.full(10, 0.1), np.zeros(10), np.arange(10)], axis=1)
    x = np.stack([np.arange(10), np.full(10, 0.3), np.full(10, np.nan), [1, 2, *[np.nan] * 8]], axis=1)
    found = correlations(sparse.csc_array(a), x)
    np.testing.assert_allclose(found.r, [[0] * 4, [0] * 4, [1, 0, 0, 1]])
    assert np.isnan(found.p[:, 2:]).all()
    assert (found.p[:2, :2] == 1).all()


def test_bad_input() -> None:
    pooled = sparse.csc_array(np.eye(3))
    with pytest.raises(InputError, match=r"got shape \(2, 1\) for 3 pictures"):
        latent_scores(pooled, np.ones((2, 1)))
    with pytest.raises(InputError, match="-1, 0 or 1"):
        latent_scores(pooled, np.full((3, 1), 2))
    with pytest.raises(InputError, match="finite"):
        correlations(pooled, np.full((3, 1), np.inf))
