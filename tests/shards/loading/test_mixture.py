"""How a batch and the buffer are divided."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.shards.loading.mixture import rows_by_weight, rows_of_rank, shares_of_buffer

WEIGHTS = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=6)


@given(WEIGHTS, st.integers(0, 5000))
def test_rows_follow_the_weights(weights: list[float], more: int) -> None:
    size = len(weights) + more
    rows = rows_by_weight(weights, size)
    assert sum(rows) == size
    assert min(rows) >= 1
    exact = [weight / sum(weights) * size for weight in weights]
    # Whole numbers are off by less than one each, but for those that were raised to one.
    raised = sum(max(0.0, 1 - x) for x in exact)
    assert all(abs(n - x) < 1 + raised for n, x in zip(rows, exact, strict=True))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 8))
def test_ranks_part_the_rows(rows: list[int], world_size: int) -> None:
    rows[0] += -sum(rows) % world_size
    parts = [rows_of_rank(rows, rank, world_size) for rank in range(world_size)]
    for number, n in enumerate(rows):
        assert [row for part in parts for row in part[number]] == list(range(n))
    assert {sum(map(len, part)) for part in parts} == {sum(rows) // world_size}
    for part in parts:
        assert all(abs(len(mine) - n / world_size) <= len(rows) for mine, n in zip(part, rows, strict=True))


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=5), st.data(), st.integers(0, 10**6))
def test_the_buffer_is_never_exceeded(needs: list[int], data: st.DataObject, buffer_bytes: int) -> None:
    weights = data.draw(st.lists(st.integers(1, 100), min_size=len(needs), max_size=len(needs)))
    shares = shares_of_buffer(needs, weights, buffer_bytes)
    assert sum(shares) <= buffer_bytes
    assert all(0 <= share <= need or share <= buffer_bytes for share, need in zip(shares, needs, strict=True))
    if sum(needs) <= buffer_bytes and len(needs) == 1:
        assert shares == needs


@pytest.mark.parametrize(("needs", "buffer_bytes", "expected"), [([10, 20], 30, [10, 20]), ([10, 90], 60, [10, 50])])
def test_what_small_data_sets_leave_goes_to_the_others(
    needs: list[int], buffer_bytes: int, expected: list[int]
) -> None:
    assert shares_of_buffer(needs, [1, 1], buffer_bytes) == expected
