"""Whether labels are more than chance: against scipy, and on labels that say nothing."""

import numpy as np
import pytest
from scipy.stats import binom, false_discovery_control, hypergeom

from saev.latents.survey import Enrichment, QValues


def test_p_is_at_least_the_exact_tail_and_near_it_where_it_is_small() -> None:
    rng = np.random.default_rng(0)
    n = 200
    base_l = np.array([0, 1, 3, 20, 100, 199, 200])
    fires_s = rng.integers(0, n + 1, 200)
    low = np.maximum(0, fires_s[:, None] + base_l - n)
    counts_sl = rng.integers(low, np.minimum(fires_s[:, None], base_l) + 1)
    log_p = Enrichment(base_l, n).log_p(counts_sl, fires_s)
    exact = hypergeom.logsf(counts_sl - 1, n, base_l, fires_s[:, None])
    assert (log_p >= exact - 1e-9).all()
    assert (log_p <= 0).all()
    small = exact < np.log(0.01)
    assert small.sum() > 50
    assert (log_p[small] - exact[small]).max() < 0.25


def test_where_in_images_a_label_is_counts_for_labels_that_nearly_all_have() -> None:
    share_l = np.array([np.nan, 0.8, 1.0])
    fires_s = np.repeat([4, 20, 100], 100)
    counts_sl = np.tile(np.arange(100)[:, None], (3, 3)).clip(0, np.minimum(fires_s, 50)[:, None])
    log_p = Enrichment(np.array([50, 199, 200]), 200, share_l).log_p(counts_sl, fires_s)
    assert (log_p[:, 0] == Enrichment(np.array([50]), 200).log_p(counts_sl[:, :1], fires_s)[:, 0]).all()
    exact = binom.logsf(counts_sl[:, 1] - 1, fires_s, 0.8)
    assert (log_p[:, 1] >= exact - 1e-9).all()
    assert log_p[100 + 20, 1] == pytest.approx(20 * np.log(0.8))
    assert not log_p[:, 2].any()  # what is so everywhere says nothing


def test_q_values_equal_those_of_scipy_but_for_the_bins() -> None:
    p = np.concatenate([np.random.default_rng(0).random(500), np.geomspace(1e-300, 0.01, 40), [0.01] * 5])
    given = QValues()
    given.add(np.log(p[:100]), 100)
    given.add(np.log(p[100:]), len(p) - 100)
    found, expected = given.of(np.log(p)), false_discovery_control(p)
    assert (found >= expected * (1 - 1e-12)).all()
    assert (found <= expected * 1.021).all()


def test_nothing_is_found_in_labels_that_say_nothing() -> None:
    rng = np.random.default_rng(0)
    n, d_sae, n_labels = 300, 200, 20
    n_found = 0
    for _ in range(40):
        labels, fires_is = rng.integers(0, n_labels, n), rng.random((n, d_sae)) < rng.random(d_sae) * 0.3
        counts_sl = fires_is.T.astype(np.int64) @ (labels[:, None] == np.arange(n_labels))
        log_p = Enrichment(np.bincount(labels, minlength=n_labels), n).log_p(counts_sl, fires_is.sum(0))
        q = QValues()
        q.add(log_p, log_p.size)
        n_found += bool((q.of(log_p) <= 0.05).any())
    assert n_found <= 5  # of 40 surveys; .05 of them are expected at most
