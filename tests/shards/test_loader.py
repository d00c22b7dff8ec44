import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import MakeShards
from torch import Tensor

from saev.errors import InputError
from saev.shards.format.layout import DTYPES
from saev.shards.format.quantization import decode, encode
from saev.shards.loading.loader import OrderedTokens, ShuffledTokens, TokenSelection
from saev.shards.reading.reader import ShardReader

N, D = 40, 8
TOKEN_BYTES = 4 * D + 8


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> tuple[Path, Tensor]:
    """Activations whose first two dimensions say which example and which position they are."""
    acts = torch.zeros(N, 9, D)
    acts[..., 0] = torch.arange(N)[:, None]
    acts[..., 1] = torch.arange(9)
    return make_shards(N, d_model=D, n_registers=2, acts=acts)


def select(directory: Path, kind: str = "content", examples: list[int] | None = None) -> TokenSelection:
    reader = ShardReader(directory)
    chosen = np.arange(N) if examples is None else np.array(examples)
    return TokenSelection(reader, chosen, reader.layout.tokens.positions(kind))  # type: ignore[arg-type]


def names(batch: Tensor) -> list[tuple[int, int]]:
    return [(int(example), int(position)) for example, position in batch[:, :2].tolist()]


def shuffled(tokens: TokenSelection, **options: int) -> ShuffledTokens:
    return ShuffledTokens(tokens, **{"n_batches": 10, "batch_size": 24, "buffer_bytes": 2**20, "seed": 0, **options})


@pytest.mark.parametrize(
    ("kind", "positions"), [("content", range(3, 9)), ("cls", [0]), ("registers", [1, 2]), ("all", range(9))]
)
def test_the_tokens_asked_for(shards: tuple[Path, Tensor], kind: str, positions: list[int]) -> None:
    tokens = select(shards[0], kind, [1, 5, 6, 39])
    seen = [name for batch in OrderedTokens(tokens, batch_size=10) for name in names(batch)]
    assert seen == [(example, position) for example in (1, 5, 6, 39) for position in positions]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_each_token_once_an_epoch(shards: tuple[Path, Tensor], data: st.DataObject) -> None:
    examples = sorted(data.draw(st.sets(st.integers(0, N - 1), min_size=1)))
    tokens = select(shards[0], examples=examples)
    pool = data.draw(st.integers(1, N))
    batch_size = data.draw(st.integers(1, tokens.n_tokens))
    n_batches = 2 * tokens.n_tokens // batch_size
    loader = shuffled(
        tokens, n_batches=n_batches, batch_size=batch_size, buffer_bytes=pool * 6 * TOKEN_BYTES, seed=pool
    )
    stream = [name for batch in loader for name in names(batch)]
    assert len(stream) == n_batches * batch_size
    everything = [(example, position) for example in examples for position in range(3, 9)]
    assert sorted(stream[: tokens.n_tokens]) == everything
    rest = stream[tokens.n_tokens :]
    assert len(set(rest)) == len(rest)


def test_epochs_and_seeds_differ(shards: tuple[Path, Tensor]) -> None:
    tokens = select(shards[0])
    first, second = (names(batch) for batch in shuffled(tokens, n_batches=2, batch_size=tokens.n_tokens))
    (other,) = (names(batch) for batch in shuffled(tokens, n_batches=1, batch_size=tokens.n_tokens, seed=1))
    assert first != second
    assert first != other
    # A shuffle mixes images and positions: the share of neighbours in place is that of chance.
    in_place = sum(b == (a[0], a[1] + 1) for a, b in itertools.pairwise(first))
    assert in_place < 10


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 2, 3, 4]), st.integers(1, 9), st.integers(1, N))
def test_ranks_part_the_same_global_batches(shards: tuple[Path, Tensor], world_size: int, rows: int, pool: int) -> None:
    options = {"n_batches": 7, "batch_size": rows * 12, "buffer_bytes": pool * 6 * TOKEN_BYTES}
    alone = list(shuffled(select(shards[0]), **options))
    parts = [
        list(shuffled(select(shards[0]), **options, rank=rank, world_size=world_size)) for rank in range(world_size)
    ]
    together = [torch.cat(batches) for batches in zip(*parts, strict=True)]
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9), st.integers(1, N))
def test_a_resumed_loader_goes_on(shards: tuple[Path, Tensor], stop: int, pool: int) -> None:
    options = {"buffer_bytes": pool * 6 * TOKEN_BYTES}
    whole = list(shuffled(select(shards[0]), **options))
    loader = shuffled(select(shards[0]), **options)
    for _ in zip(loader, range(stop), strict=False):
        pass
    state = {"plan": loader.state_dict()["plan"], "batch": stop}
    resumed = shuffled(select(shards[0]), **options)
    resumed.load_state_dict(state)
    assert len(resumed) == 10
    rest = list(resumed)
    assert len(rest) == 10 - stop
    assert all(torch.equal(a, b) for a, b in zip(whole[stop:], rest, strict=True))
    # Iterating anew starts from the beginning.
    assert torch.equal(next(iter(resumed)), whole[0])


def test_the_state_counts_the_batches_given(shards: tuple[Path, Tensor]) -> None:
    loader = shuffled(select(shards[0]))
    batches = iter(loader)
    next(batches), next(batches)
    assert loader.state_dict()["batch"] == 2


@pytest.mark.parametrize(
    ("change", "message"), [({"seed": 5}, "seed was 0 and is 5"), ({"batch_size": 12}, "batch_size was 24 and is 12")]
)
def test_other_data_at_resume_are_refused(shards: tuple[Path, Tensor], change: dict[str, int], message: str) -> None:
    state = shuffled(select(shards[0])).state_dict()
    with pytest.raises(InputError, match=message):
        shuffled(select(shards[0]), **change).load_state_dict(state)


def test_the_pool_stays_within_the_buffer(shards: tuple[Path, Tensor]) -> None:
    loader = shuffled(select(shards[0]), buffer_bytes=7 * 6 * TOKEN_BYTES)
    assert loader.plan.n_pools > 1
    assert loader.plan.pool_examples * 6 * TOKEN_BYTES <= 7 * 6 * TOKEN_BYTES


def test_unusable_sizes(shards: tuple[Path, Tensor]) -> None:
    with pytest.raises(InputError, match="holds no example"):
        shuffled(select(shards[0]), buffer_bytes=100)
    with pytest.raises(InputError, match="24 tokens cannot be divided among 5"):
        shuffled(select(shards[0]), world_size=5)


def test_half_precision_shards_give_float32(make_shards: MakeShards) -> None:
    directory, acts = make_shards(6, dtype="bfloat16", d_model=D)
    reader = ShardReader(directory)
    tokens = TokenSelection(reader, np.arange(6), reader.layout.tokens.positions("content"))
    batch = torch.cat(list(OrderedTokens(tokens, batch_size=1000)))
    assert batch.dtype == torch.float32
    assert torch.equal(batch, acts[:, 1:].bfloat16().float().flatten(0, 1))


def test_int8_shards_give_float32_in_any_order(make_shards: MakeShards) -> None:
    directory, acts = make_shards(N, dtype="int8", d_model=D)
    expected = decode(encode(acts, "int8"), "int8")[:, 1:].flatten(0, 1)
    batch = torch.cat(list(OrderedTokens(select(directory), batch_size=1000)))
    assert batch.dtype == torch.float32
    assert torch.equal(batch, expected)
    shuffle = {"n_batches": 1, "batch_size": len(expected), "buffer_bytes": 7 * 6 * TOKEN_BYTES}
    (mixed,) = shuffled(select(directory), **shuffle)
    assert sorted(mixed.tolist()) == sorted(expected.tolist())
    assert mixed.tolist() != expected.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_read_is_bounded_in_memory(make_shards: MakeShards, monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    read, sizes = ShardReader.read, []

    def watched(self: ShardReader, start: int, stop: int) -> Tensor:
        sizes.append(read(self, start, stop).float().nbytes)
        return read(self, start, stop)

    bound = 5 * 7 * 4 * D
    monkeypatch.setattr("saev.shards.loading.loader.READ_BYTES", bound)
    monkeypatch.setattr(ShardReader, "read", watched)
    tokens = select(make_shards(N, dtype=dtype, d_model=D)[0])
    assert sum(map(len, tokens.read(tokens.examples))) == N
    assert sizes == [bound] * 8


def test_ordered_parts_of_ranks(shards: tuple[Path, Tensor]) -> None:
    tokens = select(shards[0])
    whole = torch.cat(list(OrderedTokens(tokens, batch_size=50)))
    parts = [OrderedTokens(tokens, batch_size=50, rank=rank, world_size=3) for rank in range(3)]
    assert torch.equal(torch.cat([batch for part in parts for batch in part]), whole)
    assert [len(part) for part in parts] == [len(list(part)) for part in parts]


@given(st.integers(1, N + 5), st.integers(0, 5))
def test_a_subset_is_a_choice_of_the_examples(shards: tuple[Path, Tensor], n: int, seed: int) -> None:
    examples = list(range(3, N, 2))
    subset = select(shards[0], examples=examples).subset(n, seed).examples
    assert len(subset) == min(n, len(examples))
    assert set(subset.tolist()) <= set(examples)
    assert (np.diff(subset) > 0).all()


def test_one_pool_at_a_time_is_in_memory(shards: tuple[Path, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    pools: list[weakref.ref[Tensor]] = []
    most = 0
    read_pool, read_disk = ShuffledTokens._read, TokenSelection.read

    def watched_pool(self: ShuffledTokens, epoch: int, pool: int) -> Tensor:
        data = read_pool(self, epoch, pool).clone()
        pools.append(weakref.ref(data))
        return data

    def watched_disk(self: TokenSelection, examples: np.ndarray) -> Iterator[Tensor]:
        nonlocal most
        most = max(most, sum(pool() is not None for pool in pools))
        return read_disk(self, examples)

    monkeypatch.setattr(ShuffledTokens, "_read", watched_pool)
    monkeypatch.setattr(TokenSelection, "read", watched_disk)
    for _ in shuffled(select(shards[0]), buffer_bytes=7 * 6 * TOKEN_BYTES):
        pass
    assert len(pools) > 3
    assert most == 0
