"""Corrections against their definitions and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from saev.errors import InputError
from saev.probing.statistics.correction import benjamini_hochberg, holm

P = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def test_holm_of_a_known_case() -> None:
    """Sorted .005, .011, .02, .04, .13 times 5, 4, 3, 2, 1, and never smaller than the one before."""
    np.testing.assert_allclose(holm([0.02, 0.005, 0.13, 0.011, 0.04]), [0.06, 0.025, 0.13, 0.044, 0.08])


@given(P)
def test_holm_rejects_what_its_steps_reject(p: list[float]) -> None:
    corrected = holm(p)
    for alpha in (0.01, 0.05, 0.3):
        rejected = []
        for step, number in enumerate(np.argsort(p, kind="stable")):
            if p[number] * (len(p) - step) > alpha:
                break
            rejected.append(number)
        assert sorted(rejected) == np.flatnonzero(corrected <= alpha).tolist()


@given(P)
def test_benjamini_hochberg_equals_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p), atol=1e-12)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_shapes_stay_and_what_was_not_tested_does_not_count(correct: type[np.ndarray]) -> None:
    p = np.array([[0.01, np.nan, 0.3], [0.02, 0.04, np.nan]])
    found = correct(p)
    assert np.array_equal(np.isnan(found), np.isnan(p))
    np.testing.assert_array_equal(found[~np.isnan(p)], correct(p[~np.isnan(p)]))
    assert correct([]).shape == (0,)
    with pytest.raises(InputError, match="between 0 and 1"):
        correct([0.1, 1.5])
