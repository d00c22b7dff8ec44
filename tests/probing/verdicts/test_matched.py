"""Random latents that fire as often as a hypothesis."""

import numpy as np
import pytest
from scipy.sparse import csc_array

from saev.probing.verdicts.matched import matched_latents


def test_latents_that_cannot_fire_as_often_are_not_taken() -> None:
    rng = np.random.default_rng(0)
    pooled_il = np.where(rng.random((1000, 60)) < 0.05, rng.random((1000, 60)), 0)
    pooled_il[:, 0] = rng.random(1000)
    pooled_il[:, 1:4] = np.where(rng.random((1000, 3)) < 0.7, rng.random((1000, 3)), 0)
    found = matched_latents(csc_array(pooled_il), pooled_il[:, 0], 0.1, [0], rng)
    assert found.latents.tolist() == [1, 2, 3]
    assert found.own_frequency == pytest.approx(0.9, abs=0.03)
    assert found.frequency == pytest.approx((pooled_il[:, 1:4] > 0).mean())


def test_latents_of_equal_values_that_would_fire_much_less_are_not_taken() -> None:
    rng = np.random.default_rng(1)
    own_i = np.where(np.arange(200) < 60, 2.0, np.where(np.arange(200) < 100, 1.0, 0.0))
    tied_i = np.where(rng.permutation(200) < 10, 2.0, np.where(rng.permutation(200) < 90, 1.0, 0.0))
    free_i = np.where(rng.permutation(200) < 100, rng.random(200), 0.0)
    found = matched_latents(csc_array(np.stack([own_i, tied_i, free_i], axis=1)), own_i, 1.0, [0], rng)
    assert found.latents.tolist() == [2]
    assert found.frequency == found.own_frequency == 0.3
