"""Whether labels are more than chance: against scipy, and on labels that say nothing."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, hypergeom

from saev.latents.survey import Enrichment, LabelCounts, QValues
from saev.latents.survey.enrichment import Overlaps


def test_p_is_at_least_the_exact_tail_and_near_it_where_it_is_small() -> None:
    rng = np.random.default_rng(0)
    n = 200
    base_l = np.array([0, 1, 3, 20, 100, 199, 200])
    fires_s = rng.integers(0, n + 1, 200)
    low = np.maximum(0, fires_s[:, None] + base_l - n)
    counts_sl = rng.integers(low, np.minimum(fires_s[:, None], base_l) + 1).astype(np.int32)
    log_p = Enrichment(Overlaps(counts_sl, fires_s, base_l, n)).log_p(np.arange(200))
    exact = hypergeom.logsf(counts_sl - 1, n, base_l, fires_s[:, None])
    assert (log_p >= exact - 1e-9).all()
    assert (log_p <= 0).all()
    small = exact < np.log(0.01)
    assert small.sum() > 50
    assert (log_p[small] - exact[small]).max() < 0.25


def test_a_part_of_the_latents_is_tested_alike() -> None:
    counts = LabelCounts(3, 2)
    counts.update(np.repeat([0, 1], 10), np.repeat([0, 2], [10, 10]), np.repeat([0, 1], 10))
    test = Enrichment(counts.overlaps)
    assert test.n_tests == 4  # latent 1 never fires
    assert test.log_p(np.array([2])).tolist() == test.log_p(np.arange(3))[2:].tolist()
    assert np.exp(test.log_p(np.array([0, 2]))) == pytest.approx(np.diag([1, 1]) / 184756 + np.eye(2)[::-1])


def test_q_values_equal_those_of_scipy_but_for_the_bins() -> None:
    p = np.concatenate([np.random.default_rng(0).random(500), np.geomspace(1e-300, 0.01, 40), [0.01] * 5])
    given = QValues(len(p))
    given.add(np.log(p[:100]))
    given.add(np.log(p[100:]))
    found, expected = given.of(np.log(p)), false_discovery_control(p)
    assert (found >= expected * (1 - 1e-12)).all()
    assert (found <= expected * 1.021).all()


def test_nothing_is_found_in_labels_that_say_nothing() -> None:
    rng = np.random.default_rng(0)
    n, d_sae, n_labels = 300, 200, 20
    n_found = 0
    for _ in range(40):
        labels, fires_is = rng.integers(0, n_labels, n), rng.random((n, d_sae)) < rng.random(d_sae) * 0.3
        images, latents = np.nonzero(fires_is)
        counts = LabelCounts(d_sae, n_labels)
        counts.update(labels, latents, labels[images])
        test = Enrichment(counts.overlaps)
        log_p, q = test.log_p(np.arange(d_sae)), QValues(test.n_tests)
        q.add(log_p)
        n_found += bool((q.of(log_p) <= 0.05).any())
    assert n_found <= 5  # of 40 surveys; .05 of them are expected at most
