"""The order of streamed tokens, as arithmetic."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.shards.format.runs import Ints
from saev.shards.loading.lanes import ORDER_VERSION, LaneSizes, Schedule, rows_of
from saev.shards.loading.resident import uniform_order


@st.composite
def counts(draw: st.DrawFn) -> tuple[Ints, int]:
    """Tokens of each unit of each example, or of all alike; some units are empty, no example is."""
    n_examples, n_units = draw(st.integers(1, 30)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if draw(st.booleans()):
        return rng.integers(1, 5, size=n_units), n_examples
    found = rng.integers(0, 5, size=(n_examples, n_units))
    found[:, 0] += found.sum(axis=1) == 0
    return found, n_examples


@st.composite
def sizes(draw: st.DrawFn) -> LaneSizes:
    return LaneSizes(draw(st.integers(1, 40)), draw(st.integers(1, 4)), draw(st.integers(1, 6)))


@given(counts(), sizes(), st.integers(0, 5))
def test_every_token_has_one_place(data: tuple[Ints, int], sizes: LaneSizes, seed: int) -> None:
    found, n_examples = data
    sizes = LaneSizes(sizes.lanes, sizes.per_visit, min(sizes.pieces, found.shape[-1]))
    schedule = Schedule(found, n_examples, sizes, (seed,), 3)
    segments = schedule.segments
    number, within = rows_of(segments)
    place = schedule.place(segments.lane[number], segments.column[number] + within)
    assert sorted(place.tolist()) == list(range(len(place)))
    per_example = np.broadcast_to(found, (n_examples, found.shape[-1])).sum(axis=1)
    tokens = sorted(zip(segments.example[number].tolist(), (segments.first[number] + within).tolist(), strict=True))
    assert tokens == [(example, token) for example, n in enumerate(per_example.tolist()) for token in range(n)]
    # Segments stand in the order in which they are needed.
    firsts = schedule.place(segments.lane, segments.column)
    assert (np.diff(firsts) > 0).all()


def test_lanes_give_tokens_in_turn() -> None:
    schedule = Schedule(np.array([3, 3]), 50, LaneSizes(10, 2, 2), (0,), 0)
    number, within = rows_of(schedule.segments)
    place = schedule.place(schedule.segments.lane[number], schedule.segments.column[number] + within)
    lane = schedule.segments.lane[number][np.argsort(place)]
    assert lane[:40].tolist() == [*np.repeat(np.arange(10), 2), *np.repeat(np.arange(10), 2)]


def test_golden_orders() -> None:
    """A change here makes old checkpoints go on with other tokens: it needs another ORDER_VERSION, and new numbers."""
    schedule = Schedule(np.array([2, 1, 1]), 5, LaneSizes(3, 2, 2), (7, 0), 1)
    segments = schedule.segments
    number, within = rows_of(segments)
    place = schedule.place(segments.lane[number], segments.column[number] + within)
    tokens = np.stack([segments.example[number], segments.first[number] + within], axis=1)[np.argsort(place)]
    assert ORDER_VERSION == 1
    assert [tuple(token) for token in tokens.tolist()] == [
        (4, 1), (1, 0), (3, 0), (3, 1), (0, 2), (0, 3), (1, 1),
        (2, 0), (3, 2), (3, 3), (4, 2), (4, 3), (2, 1), (2, 2),
        (0, 0), (0, 1), (1, 2), (1, 3), (2, 3), (4, 0),
    ]  # fmt: skip
    assert uniform_order(8, (7, 0), 1).tolist() == [6, 2, 3, 0, 4, 1, 5, 7]


@given(st.integers(1, 5000), st.integers(1, 300), st.integers(1, 4096), st.integers(1, 512), st.floats(0, 8), st.data())
def test_sizes_for_any_buffer(
    n_examples: int, per_example: int, token_bytes: int, batch_size: int, batches: float, data: st.DataObject
) -> None:
    n_units = data.draw(st.integers(1, per_example))
    buffer_tokens = max(1, int(batches * batch_size))
    sizes = LaneSizes.fitting(
        n_examples=n_examples,
        n_tokens=n_examples * per_example,
        n_units=n_units,
        token_bytes=token_bytes,
        batch_size=batch_size,
        buffer_tokens=buffer_tokens,
    )
    assert sizes.pieces <= n_units
    assert sizes.lanes * sizes.per_visit <= batch_size or sizes.lanes % batch_size == 0


@pytest.mark.parametrize("other", [{"seed": (8,)}, {"epoch": 1}])
def test_seeds_and_epochs_are_other_orders(other: dict[str, object]) -> None:
    options = {"seed": (7,), "epoch": 0}
    first, second = (Schedule(np.array([4]), 99, LaneSizes(9, 1, 1), **o) for o in (options, options | other))
    assert first.segments.example.tolist() != second.segments.example.tolist()
