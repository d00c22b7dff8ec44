"""Training batches: every token once an epoch, in an order that depends on nothing but what it should."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import MakeShards
from tests.shards.loading.named import (
    GRID,
    D,
    N,
    Name,
    all_names,
    loader,
    named_acts,
    names,
    select,
    stream,
)

from saev.errors import InputError
from saev.shards.loading.shuffled import ShuffledTokens
from saev.shards.loading.streamed import StreamedTokens

pytestmark = pytest.mark.slow

RESIDENT, STREAMED = 100_000, 130
"""Tokens of memory: more than there are, and about a quarter."""


def epochs(found: Sequence[Name], expected: list[Name]) -> None:
    """Check that each run of so many tokens is a permutation of the expected ones, the last one a part of one."""
    for start in range(0, len(found), len(expected)):
        part = found[start : start + len(expected)]
        assert len(set(part)) == len(part)
        assert sorted(part) == expected or (len(part) < len(expected) and set(part) <= set(expected))


@settings(max_examples=60)
@given(st.data())
def test_every_token_once_an_epoch(shards: Path, data: st.DataObject) -> None:
    examples = data.draw(st.lists(st.integers(0, N - 1), min_size=1, unique=True).map(sorted))
    ignore = data.draw(st.sampled_from([[], [0], [1, 2, 5]]))
    if examples == [7]:
        ignore = []
    tokens = select(shards, examples=examples, ignore=ignore, kind=data.draw(st.sampled_from(["content", "all"])))
    world_size = data.draw(st.integers(1, 3))
    batch_size = world_size * data.draw(st.integers(1, 20))
    held = data.draw(st.integers(2 * batch_size, 2 * batch_size + 2 * tokens.n_tokens))
    options = {
        "rows": [batch_size],
        "held": held,
        "batches": data.draw(st.integers(1, 3 * tokens.n_tokens // batch_size + 2)),
    }
    parts = [
        loader(tokens, **options, rank=rank, world_size=world_size, n_threads=1 + rank) for rank in range(world_size)
    ]
    batches = [[name for part in batch for name in names(part)] for batch in zip(*parts, strict=True)]
    assert [len(batch) for batch in batches] == [batch_size] * options["batches"]
    epochs([name for batch in batches for name in batch], all_names(tokens))
    if world_size > 1:
        assert batches == [names(batch) for batch in loader(tokens, **options)]


@pytest.mark.parametrize("held", [RESIDENT, STREAMED])
def test_the_order_is_that_of_seed_and_epoch_alone(shards: Path, held: int) -> None:
    tokens = select(shards)
    whole = {"batches": 2, "rows": [tokens.n_tokens // 2]} if held == RESIDENT else {"batches": 20}
    first = stream(loader(tokens, held=held, **whole))
    for n_threads in (1, 2, 7):
        assert stream(loader(tokens, held=held, **whole, n_threads=n_threads)) == first
    assert stream(loader(tokens, held=held, **whole, seed=1)) != first
    batches = loader(tokens, held=held, **whole)
    assert stream(batches) == first
    again = stream(batches)
    assert sorted(again) == sorted(first)
    assert again != first


def test_epochs_of_streamed_tokens_differ(shards: Path) -> None:
    found = stream(loader(select(shards), held=STREAMED, batches=40))
    assert found[:480] != found[480:]


def test_streamed_batches_mix_images(shards: Path) -> None:
    for batch in loader(select(shards), held=200, batches=15):
        assert len({example for _, example, _ in names(batch)}) >= 10


@pytest.mark.parametrize("held", [RESIDENT, STREAMED])
@settings(max_examples=15)
@given(stop=st.integers(0, 30), ranks=st.sampled_from([(1, 2), (3, 1), (2, 4)]))
def test_a_resumed_run_goes_on(shards: Path, held: int, stop: int, ranks: tuple[int, int]) -> None:
    """With another number of processes and threads."""
    tokens = select(shards)
    whole = [names(batch) for batch in loader(tokens, held=held, batches=30)]
    before = loader(tokens, held=held, batches=30, world_size=ranks[0])
    for _ in zip(range(stop), before, strict=False):
        pass
    state = before.state_dict()
    assert state["batch"] == stop
    after = [
        loader(tokens, held=held, batches=30, rank=rank, world_size=ranks[1], n_threads=2) for rank in range(ranks[1])
    ]
    for part in after:
        part.load_state_dict(state)
    rest = [[name for part in batch for name in names(part)] for batch in zip(*after, strict=True)]
    # At the end of a pass the next one begins.
    assert rest[: 30 - stop] == whole[stop:]
    assert len(rest) == (30 - stop or 30)


def test_a_pass_that_was_given_up_goes_on(shards: Path) -> None:
    tokens = select(shards)
    whole = [names(batch) for batch in loader(tokens, held=STREAMED)]
    batches = loader(tokens, held=STREAMED)
    found = [names(batch) for _, batch in zip(range(4), batches, strict=False)]
    found += [names(batch) for batch in batches]
    assert found == whole


def test_two_iterators_at_once(shards: Path) -> None:
    """The later one ends the earlier one, whose end must not disturb it."""
    whole = [names(batch) for batch in loader(select(shards), held=STREAMED)]
    batches = loader(select(shards), held=STREAMED)
    earlier = iter(batches)
    found = [names(next(earlier))]
    later = iter(batches)
    found.append(names(next(later)))
    assert list(earlier) == []
    del earlier
    found += [names(batch) for batch in later]
    assert found == whole


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"rows": [12], "held": STREAMED + 24}, "batch_size was 24 and is 12"),
        ({"batches": 11}, "batches was 10 and is 11"),
        ({"held": RESIDENT}, r"order was {'lanes': .*} and is uniform; buffer_gib was [\d.e-]+ and is 0.0029"),
        ({"held": 60}, r"order was {'lanes': .*} and is {'lanes': .*; buffer_gib was"),
    ],
)
def test_another_order_is_refused(shards: Path, changes: dict[str, int], message: str) -> None:
    state = loader(select(shards), held=STREAMED).state_dict()
    with pytest.raises(InputError, match=message):
        loader(select(shards), **{"held": STREAMED, **changes}).load_state_dict(state)


def test_other_data_are_refused(shards: Path, other: Path) -> None:
    state = loader(select(shards), held=STREAMED).state_dict()
    for tokens, message in (
        (
            select(other, examples=range(25)),
            r"shards was .*; bytes was \w+ and is \w+; images was 40 \(\w+\) and is 25",
        ),
        (select(shards, examples=range(1, N)), r"images was 40 \(\w+\) and is 39 \(\w+\)"),
        (select(shards, ignore=[3]), r"images was 40 \(\w+\) and is 40 \(\w+\)"),
        (select(shards, kind="all"), "tokens was 1 to 13 of each image and is 0 to 13 of each image"),
    ):
        with pytest.raises(InputError, match=message):
            loader(tokens, held=STREAMED).load_state_dict(state)


def test_more_memory_for_the_same_order_is_no_change(shards: Path) -> None:
    state = loader(select(shards), held=RESIDENT).state_dict()
    loader(select(shards), held=2 * RESIDENT).load_state_dict(state)


@pytest.mark.parametrize(
    "change",
    [
        {"plan": 3},
        {"batch": -1},
        {"batch": 1.5},
        {"batch": 11},
        {"batch": True},
        {"passes": None},
        {"buffer_bytes": "much"},
        {"colour": "red"},
    ],
)
def test_a_state_that_is_none(shards: Path, change: dict[str, object]) -> None:
    state = loader(select(shards), held=STREAMED).state_dict()
    with pytest.raises(InputError, match="start a new run"):
        loader(select(shards), held=STREAMED).load_state_dict(state | change)
    with pytest.raises(InputError, match="of another version of saev: start a new run"):
        loader(select(shards), held=STREAMED).load_state_dict({"plan": state["plan"], "batch": 3})


def test_memory_stays_within_the_plan(make_shards: MakeShards, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: StreamedTokens, n: int) -> None:
        raise AssertionError(f"{n} more rows than planned")

    monkeypatch.setattr(StreamedTokens, "_grow", fail)
    directory, _ = make_shards(500, d_model=D, grid=GRID, acts=named_acts(500), max_tokens=1000)
    tokens = select(directory, examples=range(500))
    for held, seed in ((700, 0), (900, 1), (1800, 2), (3000, 3)):
        batches = loader(tokens, rows=[128], held=held, batches=60, seed=seed)
        for number, _ in enumerate(batches, 1):
            if number < len(batches):
                assert batches._sources[0]._n_used == held


def test_tiny_buffers_grow_by_a_few_reads(shards: Path) -> None:
    for seed in range(10):
        batches = loader(select(shards), rows=[48], held=100, batches=30, seed=seed)
        most = 0
        for number, _ in enumerate(batches, 1):
            if number < len(batches):
                most = max(most, batches._sources[0]._n_used)
        assert most <= 100 + 3 * 10


def test_a_buffer_that_is_too_small_names_one_that_is_enough(shards: Path) -> None:
    with pytest.raises(InputError, match="is too small for batches of 24 tokens") as error:
        loader(select(shards), held=3)
    gib = float(str(error.value).split("give ")[1].split(" GiB")[0])
    assert len(stream(loader(select(shards), held=0, buffer_bytes=int(gib * 2**30)))) == 240


def test_a_batch_that_cannot_be_divided(shards: Path) -> None:
    with pytest.raises(InputError, match="24 tokens cannot be divided among 5"):
        loader(select(shards), held=STREAMED, world_size=5)


@pytest.mark.parametrize("held", [RESIDENT, STREAMED])
@pytest.mark.parametrize("ignore", [[], [1, 4]])
def test_contents_say_what_batches_hold(shards: Path, held: int, ignore: list[int]) -> None:
    tokens = select(shards, ignore=ignore)
    batches = loader(tokens, held=held, batches=30)
    expected = all_names(tokens)
    starts = np.cumsum(tokens.counts) - tokens.counts
    for number, batch in enumerate(batches):
        if number in (0, 11, 29):
            ((example, ordinal),) = batches.contents([number])[0]
            assert names(batch) == [expected[place] for place in (starts[example] + ordinal).tolist()]


def test_a_sample_is_of_everywhere_and_the_same_for_all(shards: Path) -> None:
    tokens = select(shards, ignore=[0])
    found = names(loader(tokens, held=STREAMED).sample(100))
    assert len(set(found)) == 100
    assert set(found) <= set(all_names(tokens))
    assert len({example for _, example, _ in found}) > 25
    assert names(loader(tokens, held=RESIDENT, rank=1, world_size=2, n_threads=1).sample(100)) == found
    assert sorted(names(loader(tokens, held=STREAMED).sample(10**6))) == all_names(tokens)
    assert loader(tokens, held=STREAMED).sample(100).dtype == torch.float32


def test_memory_of_batches_is_used_again(shards: Path) -> None:
    batches: ShuffledTokens = loader(select(shards), held=STREAMED, batches=20)
    places = set()
    kept = None
    for batch in batches:
        places.add(batch.data_ptr())
        kept = kept if kept is not None else (batch, batch.clone())
        del batch
    assert kept is not None
    assert torch.equal(*kept)
    assert len(places) <= 6
