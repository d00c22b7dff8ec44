"""Which tokens are selected, and how much is read at once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import MakeShards
from tests.shards.loading.named import GRID, D, N, all_names, named_acts, names, select
from torch import Tensor

from saev.shards.format.layout import DTYPES
from saev.shards.loading.ordered import OrderedTokens
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import random_subset


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_read_is_bounded_in_memory(make_shards: MakeShards, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    read, sizes = ShardReader.read, []

    def watched(self: ShardReader, start: int, stop: int) -> Tensor:
        sizes.append(read(self, start, stop).float().nbytes)
        return read(self, start, stop)

    bound = 5 * 13 * 4 * D
    monkeypatch.setattr("saev.shards.tokens.MAX_READ_BYTES", bound)
    monkeypatch.setattr(ShardReader, "read", watched)
    tokens = select(make_shards(N, dtype=dtype, d_model=D, grid=GRID)[0])
    assert sum(map(len, tokens.read(tokens.examples))) == N
    assert sizes == [bound] * 8


@given(st.integers(1, N + 5), st.integers(0, 5))
def test_a_subset_is_a_choice_of_the_examples(shards: Path, n: int, seed: int) -> None:
    examples = list(range(3, N, 2))
    subset = select(shards, examples=examples).subset(n, seed).examples
    assert len(subset) == min(n, len(examples))
    assert set(subset.tolist()) <= set(examples)
    assert (np.diff(subset) > 0).all()


@given(st.integers(1, 100), st.data())
def test_random_subsets_are_nested(n: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, n))
    small, large = random_subset(n, size // 2, 3), random_subset(n, size, 3)
    assert len(large) == size
    assert set(small) <= set(large) <= set(range(n))
    assert (np.diff(large) > 0).all()


@pytest.mark.parametrize("ignore", [[], [1, 4, 5]])
def test_counts_of_units_add_up(shards: Path, ignore: list[int]) -> None:
    tokens = select(shards, ignore=ignore, kind="all")
    found = tokens.unit_counts()
    n_units = found.shape[-1]
    assert n_units > 2
    assert np.broadcast_to(found, (len(tokens.examples), n_units)).sum(axis=1).tolist() == tokens.counts.tolist()


def test_ordered_tokens_are_all_in_order(shards: Path, other: Path) -> None:
    sets = [select(shards, ignore=[1]), select(other, examples=range(5, 25))]
    batches = list(OrderedTokens(sets, max_tokens=50))
    expected = all_names(sets[0]) + all_names(sets[1], 1)
    assert [name for batch in batches for name in names(batch)] == expected
    assert all(len(batch) <= 50 and batch.dtype == torch.float32 for batch in batches)


@pytest.mark.parametrize("world_size", [2, 3, 50])
def test_ordered_parts_of_ranks(shards: Path, other: Path, world_size: int) -> None:
    sets = [select(shards), select(other, examples=range(25))]
    parts = [OrderedTokens(sets, max_tokens=50, rank=rank, world_size=world_size) for rank in range(world_size)]
    found = [name for part in parts for batch in part for name in names(batch)]
    assert sorted(found) == all_names(sets[0]) + all_names(sets[1], 1)
    assert [len(part) for part in parts] == [len(list(part)) for part in parts]
    assert all(len(part) for part in parts)


def test_an_example_larger_than_a_batch_stays_whole(shards: Path) -> None:
    assert [len(batch) for batch in OrderedTokens([select(shards)], max_tokens=5)] == [12] * N


def test_half_precision_is_evaluated_as_float32(make_shards: MakeShards) -> None:
    directory, _ = make_shards(N, dtype="bfloat16", d_model=D, grid=GRID, acts=named_acts())
    batch = torch.cat(list(OrderedTokens([select(directory)], max_tokens=1000)))
    assert batch.dtype == torch.float32
    assert names(batch) == all_names(select(directory))
