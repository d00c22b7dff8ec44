import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saev.shards.loading.shuffle import ShufflePlan, random_subset


@st.composite
def plans(draw: st.DrawFn) -> ShufflePlan:
    block = draw(st.integers(1, 9))
    pool = draw(st.integers(block, 60))
    return ShufflePlan(draw(st.integers(1, 150)), draw(st.integers(1, 5)), pool, block, draw(st.integers(0, 9)))


@given(plans(), st.integers(0, 3))
def test_pools_part_the_examples(plan: ShufflePlan, epoch: int) -> None:
    pools = [plan.pool(epoch, pool) for pool in range(plan.n_pools)]
    assert sorted(np.concatenate(pools).tolist()) == list(range(plan.n_examples))
    assert all(0 < len(pool) <= plan.pool_examples for pool in pools)
    assert all((np.diff(pool) > 0).all() for pool in pools)
    sizes = [len(pool) * plan.tokens_per_example for pool in pools]
    assert plan.bounds(epoch).tolist() == [0, *np.cumsum(sizes).tolist()]


@given(plans(), st.integers(0, 3))
def test_the_order_is_a_permutation_fixed_by_seed_and_epoch(plan: ShufflePlan, epoch: int) -> None:
    order = plan.order(epoch, 0, 50)
    assert sorted(order.tolist()) == list(range(50))
    assert np.array_equal(order, plan.order(epoch, 0, 50))
    assert not np.array_equal(order, plan.order(epoch + 1, 0, 50))


def test_golden_order() -> None:
    """A change here makes old checkpoints resume with other data: it needs a new checkpoint version."""
    plan = ShufflePlan(n_examples=10, tokens_per_example=2, pool_examples=4, block_examples=2, seed=7)
    assert [plan.pool(1, pool).tolist() for pool in range(plan.n_pools)] == [[0, 1, 6, 7], [2, 3, 4, 5], [8, 9]]
    assert plan.order(1, 0, 8).tolist() == [6, 3, 1, 0, 2, 4, 7, 5]


@given(st.integers(1, 100), st.data())
def test_subsets_are_nested(n: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, n))
    small, large = random_subset(n, size // 2, 3), random_subset(n, size, 3)
    assert len(large) == size
    assert set(small) <= set(large) <= set(range(n))
    assert (np.diff(large) > 0).all()
