"""Statistics where pictures belong together, and maxT of many attributes at once."""

import numpy as np
import pytest
from scipy import sparse

from saev.probing.statistics.all_latents import correlations, latent_scores
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.max_t import max_t
from saev.probing.statistics.of_units import observations, p_of_labels, p_of_numbers


def values(n: int, n_latents: int, seed: int = 0) -> sparse.csc_array:
    return sparse.random_array((n, n_latents), density=0.2, format="csc", rng=np.random.default_rng(seed))


def test_pictures_that_stand_alone_are_the_observations() -> None:
    rng = np.random.default_rng(1)
    pooled, y, x = values(60, 7), rng.integers(-1, 2, (60, 4)).astype(np.int8), rng.normal(size=(60, 3))
    x[rng.random(x.shape) < 0.2] = np.nan
    np.testing.assert_allclose(p_of_labels(pooled, y, np.arange(60)), latent_scores(pooled, y).p, rtol=1e-5)
    np.testing.assert_allclose(p_of_numbers(pooled, x, np.arange(60)), correlations(pooled, x).p, atol=1e-9)


def test_copies_of_pictures_are_no_new_observations() -> None:
    rng = np.random.default_rng(2)
    pooled, y, x = values(50, 6), rng.integers(0, 2, (50, 3)).astype(np.int8), rng.normal(size=(50, 2))
    copies = rng.integers(1, 6, 50)
    group = np.repeat(np.arange(50), copies)
    np.testing.assert_allclose(p_of_labels(pooled[group], y[group], group), latent_scores(pooled, y).p, rtol=1e-5)
    np.testing.assert_allclose(p_of_numbers(pooled[group], x[group], group), correlations(pooled, x).p, atol=1e-9)


def test_groups_that_a_label_divides_make_no_false_discoveries() -> None:
    """Values hang on the group and not on the label: pictures taken for independent would."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(40), 10)
    base = np.maximum(rng.normal(size=(40, 400)), 0)[group]
    pooled = sparse.csc_array(base + 0.01 * rng.random(base.shape) * (base > 0))
    share = rng.random(40)[group]
    y = (rng.random((400, 1)) < share[:, None]).astype(np.int8)
    assert len(np.unique(observations(y[:, 0], group))) > 40
    assert (latent_scores(pooled, y).p <= 0.01).mean() > 0.1
    assert (p_of_labels(pooled, y, group) <= 0.01).mean() <= 0.015


def test_many_attributes_at_once_agree_with_one_at_a_time() -> None:
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    pooled, y_g = values(len(group), 30), np.stack([rng.permutation(60) < k for k in (5, 20, 20, 45)], axis=1)
    y = y_g[group]
    for j, strength in enumerate((0, 0.3, 1, 3)):
        pooled = pooled.tolil()
        pooled[y[:, j], j] = pooled[y[:, j], [j]].toarray() + strength
        pooled = pooled.tocsc()
    exchanges = [Exchange.of(y_i, group) for y_i in y.T]
    found = max_t(pooled, exchanges, range(4), None, 2000, np.random.default_rng(5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saev.probing.statistics.max_t.FEW", 0)  # sums by segments, as for many
        segments = max_t(pooled, exchanges, range(4), None, 2000, np.random.default_rng(5))
    assert segments.tolist() == found.tolist()
    for j, exchange in enumerate(exchanges):
        [alone] = max_t(pooled, [exchange], [j], None, 2000, rng)
        assert abs(found[j] - alone) < 0.03 + 0.1 * alone
    assert found[3] < 0.01 < found[0]


def test_the_search_among_latents_without_meaning_is_corrected() -> None:
    """200 searches for the best of 50 latents: about one in twenty is at most .05."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pooled, y = values(80, 50, seed), np.stack([rng.permutation(80) < k for k in (4, 10, 20, 40, 70)], axis=1)
        best = latent_scores(pooled, y.astype(np.int8)).correlation
        latents = np.abs(best).argmax(0)
        found.append(max_t(pooled, [Exchange.of(y_i) for y_i in y.T], latents, None, 199, rng))
    assert 0.01 <= (np.concatenate(found) <= 0.05).mean() <= 0.095
