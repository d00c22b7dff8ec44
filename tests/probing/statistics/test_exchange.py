"""Which labels change places."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from saev.errors import InputError
from saev.probing.statistics.exchange import Exchange

RNG = np.random.default_rng(0)


def seen(exchange: Exchange, n: int = 2000) -> dict[tuple[int, ...], int]:
    """Arrangements that are drawn, and how often."""
    drawn, times = np.unique(exchange.permuted(RNG, n), axis=0, return_counts=True)
    return {tuple(row.astype(int).tolist()): int(count) for row, count in zip(drawn, times, strict=True)}


def test_all_arrangements_are_as_likely() -> None:
    exchange = Exchange.of([1, 1, 0, 0])
    found = seen(exchange, 6000)
    assert set(found) == set(permutations([1, 1, 0, 0]))
    assert exchange.n_arrangements() == 6
    assert all(abs(times - 1000) < 130 for times in found.values())


def test_labels_stay_in_their_stratum() -> None:
    exchange = Exchange.of([1, 0, 0, 1, 1, 0, 0], stratum_i=["a", "a", "a", "b", "b", "b", "c"])
    drawn = exchange.permuted(RNG, 500)
    assert (drawn[:, :3].sum(1) == 1).all()
    assert (drawn[:, 3:6].sum(1) == 2).all()
    assert not drawn[:, 6].any()
    assert exchange.n_arrangements() == len(seen(exchange)) == 9


def test_a_group_of_one_label_moves_as_a_whole_to_groups_of_any_size() -> None:
    exchange = Exchange.of([1, 1, 1, 0, 0, 0], group_i=["a", "a", "a", "b", "b", "c"])
    assert set(seen(exchange)) == {(1, 1, 1, 0, 0, 0), (0, 0, 0, 1, 1, 0), (0, 0, 0, 0, 0, 1)}


def test_in_a_group_of_both_labels_pictures_change_places() -> None:
    exchange = Exchange.of([1, 0, 1, 1, 0, 0], group_i=[7, 7, 7, 3, 5, 5])
    assert exchange.n_arrangements() == 3 * 2
    assert set(seen(exchange)) == {
        (*mixed, *whole) for mixed in ((1, 0, 1), (1, 1, 0), (0, 1, 1)) for whole in ((1, 0, 0), (0, 1, 1))
    }


def test_a_group_in_several_strata_moves_among_its_like() -> None:
    group, stratum = [0, 0, 1, 1, 2, 3, 4, 4], [0, 1, 0, 1, 0, 0, 1, 1]
    exchange = Exchange.of([1, 1, 0, 0, 1, 0, 0, 0], group_i=group, stratum_i=stratum)
    assert set(seen(exchange)) == {
        (*both, *one, 0, 0) for both in ((1, 1, 0, 0), (0, 0, 1, 1)) for one in ((1, 0), (0, 1))
    }
    within = Exchange.of([1, 0, 1, 0], group_i=[0, 0, 0, 0], stratum_i=[0, 0, 1, 1])
    assert within.n_arrangements() == 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_moments_are_those_of_all_arrangements(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.array([1, 0, 1, 0, 0, 1, 0, 0])
    group, stratum = np.array([0, 0, 0, 1, 2, 3, 4, 4]), rng.integers(0, 2, 8)
    stratum[group == 0] = stratum[0]  # The group of both labels lies in one stratum.
    exchange = Exchange.of(y, group, stratum)
    size = np.bincount(exchange.unit_i).astype(np.float64)
    total, less = rng.normal(size=(len(size), 3)), np.array([0.0, 0.7, 0.3])
    total[:, 2] = size * 0.3  # A constant.
    drawn = exchange.permuted_units(rng, 20_000) @ (total - size[:, None] * less)
    mean, variance = exchange.moments(sparse.csc_array(total), size, less)
    assert variance[2] == 0
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.08)
    np.testing.assert_allclose(drawn.var(0), variance, rtol=0.08, atol=1e-12)


@pytest.mark.parametrize(
    "given",
    [
        ([1, 1, 1],),
        ([1, 1, 0], None, ["a", "a", "b"]),
        ([1, 1, 0], ["g", "g", "h"], ["a", "a", "b"]),
    ],
)
def test_labels_that_cannot_change_places_are_refused(given: tuple[list[int], ...]) -> None:
    with pytest.raises(InputError, match="both labels must be there within a stratum"):
        Exchange.of(*given)


def test_there_may_be_very_many() -> None:
    assert Exchange.of(np.arange(10_000) < 5000).n_arrangements() == float("inf")
    with pytest.raises(InputError, match="groups are of shape"):
        Exchange.of([1, 0], group_i=[1])
    with pytest.raises(InputError, match="strata are of shape"):
        Exchange.of([1, 0], stratum_i=[1])
