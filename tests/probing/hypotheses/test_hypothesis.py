"""Hypotheses as values, and what coalitions of latents do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents

STRIPES = Hypothesis(
    id="latent-17", text="stripes", attribute=AttributeName("words", "stripes"), latents=Latents((17,))
)
codes = st.floats(0, 100, width=32)
bounds = st.one_of(st.floats(0.0009765625, 100, width=32), st.floats(1e-3, 100))


def test_one_latent_keeps_its_values() -> None:
    latents = Latents((17,), thresholds=(2.5,))
    x_il = np.array([[0], [2.5], [2.75]])
    assert latents.values(csc_array(x_il)).tolist() == [0, 2.5, 2.75]
    assert (latents.values(x_il) > latents.threshold).tolist() == [False, False, True]


def test_or_takes_the_largest_in_units_of_its_threshold_and_and_not_silences() -> None:
    latents = Latents((3, 8), (5,), (2.0, 4.0, 1.0))
    x_il = np.array([[1, 0, 0], [1, 3, 0], [4, 0, 0], [4, 0, 1], [4, 0, 1.5]])
    assert latents.all == (3, 8, 5)
    assert latents.threshold == 1
    assert latents.values(csc_array(x_il)).tolist() == [0.5, 0.75, 2, 2, 0]


@given(st.data(), st.integers(1, 3), st.integers(0, 2))
def test_values_exceed_the_threshold_exactly_where_the_latents_fire(data: Any, n_any: int, n_unless: int) -> None:
    n = n_any + n_unless
    thresholds = data.draw(st.lists(bounds, min_size=n, max_size=n))
    near = st.sampled_from([*thresholds, *np.nextafter(thresholds, 200), *np.nextafter(thresholds, 0)])
    x_il = np.array(data.draw(st.lists(st.lists(codes | near, min_size=n, max_size=n), min_size=1, max_size=5)))
    latents = Latents(tuple(range(n_any)), tuple(range(n_any, n)), tuple(thresholds))
    above_il = x_il > np.array(thresholds)
    fires_i = above_il[:, :n_any].any(1) & ~above_il[:, n_any:].any(1)
    assert np.array_equal(latents.values(x_il) > latents.threshold, fires_i)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"any": ()}, "no latent in 'any'"),
        ({"any": (1, 2), "unless": (2,)}, "stands twice"),
        ({"any": tuple(range(17))}, "17 latents, at most 16"),
        ({"any": (1, 2), "thresholds": (1.0,)}, "1 thresholds for 2 latents"),
        ({"any": (1,), "thresholds": (-1.0,)}, "below 0"),
        ({"any": (1,), "thresholds": (float("nan"),)}, "below 0"),
        ({"any": (1, 2), "thresholds": (1.0, 0.0)}, "nor 0 where several"),
    ],
)
def test_latents_that_mean_nothing_are_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Latents(**facts)


def test_a_single_latent_and_those_that_silence_may_have_the_threshold_0() -> None:
    latents = Latents((1,), (2,), (0.0, 0.0))
    assert latents.values(np.array([[1, 0], [1, 1], [0, 0]])).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"id": "../x"}, "letters, digits"),
        ({"id": ""}, "letters, digits"),
        ({"id": "a" * 81}, "at most 80"),
        ({"text": "  "}, "text has 0 characters"),
        ({"text": "a" * 10_001}, "text has 10001 characters"),
        ({"attribute": AttributeName("label", "")}, "attribute's name has 0"),
        ({"smallest_effect": 0.0}, "smallest_effect 0.0"),
        ({"smallest_effect": 1.5}, "smallest_effect 1.5"),
        ({"count_above": -1.0}, "count_above -1.0"),
    ],
)
def test_hypotheses_that_mean_nothing_are_refused(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(STRIPES, **facts)


def test_json_gives_the_same_back() -> None:
    coalition = replace(STRIPES, latents=Latents((3, 8), (5,), (2.0, 4.0, 1.0)), text='<b>"\udcff\n', pooling="count")
    for one in (STRIPES, STRIPES.with_thresholds((0.5,)), coalition):
        assert Hypothesis.from_json(one.to_dict(), "here") == one
    with pytest.raises(InputError, match="'named_by' must be an object"):
        Hypothesis.from_json(STRIPES.to_dict() | {"named_by": None}, "here")
