"""The order of streamed tokens, as arithmetic."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from saev.ranges import Ints
from saev.shards.loading.in_memory import uniform_order
from saev.shards.loading.interleaving import ORDER_VERSION, LaneSizes, Schedule, rows_of


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


def given(schedule: Schedule, per_example: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Example, ordinal, lane and place of all tokens."""
    segments = schedule.segments
    (number, within), place = rows_of(segments), schedule.places(segments)
    example = segments.example[number]
    ordinal = (segments.first[number] + within) % per_example[example]
    here = place >= 0
    return example[here], ordinal[here], segments.lane[number][here], place[here]


@hypothesis.given(counts(), sizes(), st.integers(0, 5))
def test_every_token_has_one_place(data: tuple[Ints, int], sizes: LaneSizes, seed: int) -> None:
    found, n_examples = data
    sizes = LaneSizes(sizes.lanes, sizes.per_visit, min(sizes.pieces, found.shape[-1]))
    schedule = Schedule(found, n_examples, sizes, (seed,), 3)
    segments = schedule.segments
    per_example = np.broadcast_to(found, (n_examples, found.shape[-1])).sum(axis=1)
    example, ordinal, _, place = given(schedule, per_example)
    assert sorted(place.tolist()) == list(range(len(place)))
    tokens = sorted(zip(example.tolist(), ordinal.tolist(), strict=True))
    assert tokens == [(example, token) for example, n in enumerate(per_example.tolist()) for token in range(n)]
    # Segments stand in the order in which they are needed.
    number, places = rows_of(segments)[0], schedule.places(segments)
    firsts = [places[(number == i) & (places >= 0)].min() for i in range(len(segments))]
    assert (np.diff(firsts) > 0).all()
    assert schedule.last_places().tolist() == [places[number == i].max() for i in range(len(segments))]


def test_lanes_give_tokens_in_turn() -> None:
    schedule = Schedule(np.array([3, 3]), 50, LaneSizes(10, 2, 2), (0,), 0)
    _, _, lane, place = given(schedule, np.full(50, 6))
    lane = lane[np.argsort(place)]
    assert lane[:40].tolist() == [*np.repeat(np.arange(10), 2), *np.repeat(np.arange(10), 2)]


def test_golden_orders() -> None:
    """A change here makes old checkpoints go on with other tokens: it needs another ORDER_VERSION, and new numbers."""
    schedule = Schedule(np.array([2, 1, 1]), 5, LaneSizes(3, 2, 2), (7, 0), 1)
    example, ordinal, _, place = given(schedule, np.full(5, 4))
    tokens = np.stack([example, ordinal], axis=1)[np.argsort(place)]
    assert ORDER_VERSION == 1
    assert [tuple(token) for token in tokens.tolist()] == [
        (4, 3), (0, 3), (2, 1), (2, 3), (3, 2), (1, 1), (0, 2),
        (2, 2), (4, 1), (4, 2), (1, 0), (3, 1), (0, 1), (0, 0),
        (4, 0), (1, 3), (3, 3), (3, 0), (2, 0), (1, 2),
    ]  # fmt: skip
    assert uniform_order(8, (7, 0), 1).tolist() == [6, 2, 3, 0, 4, 1, 5, 7]


@hypothesis.given(
    st.integers(1, 5000), st.integers(1, 300), st.integers(1, 4096), st.integers(1, 512), st.floats(0, 8), st.data()
)
def test_sizes_for_any_buffer(
    n_examples: int, per_example: int, token_bytes: int, batch_size: int, batches: float, data: st.DataObject
) -> None:
    n_units = data.draw(st.integers(1, per_example))
    buffer_tokens = max(1, int(batches * batch_size))
    sizes = LaneSizes.fitting(
        np.diff(np.arange(n_units + 1) * per_example // n_units),
        n_examples=n_examples,
        token_bytes=token_bytes,
        quota=batch_size,
        buffer_tokens=buffer_tokens,
    )
    assert sizes.pieces <= n_units
    assert sizes.lanes * sizes.per_visit <= batch_size or sizes.lanes % batch_size == 0


@pytest.mark.parametrize("other", [{"seed": (8,)}, {"epoch": 1}])
def test_seeds_and_epochs_are_other_orders(other: dict[str, object]) -> None:
    options = {"seed": (7,), "epoch": 0}
    first, second = (Schedule(np.array([4]), 99, LaneSizes(9, 1, 1), **o) for o in (options, options | other))
    assert first.segments.example.tolist() != second.segments.example.tolist()


@pytest.mark.parametrize(("n_images", "token_bytes", "buffer_tokens"), [(1800, 3072, 30_000), (3600, 1536, 68_000)])
def test_batches_are_as_good_as_independent_draws(
    n_images: int, token_bytes: int, buffer_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In all parts of the epoch: by rows of patches, which real activations depend on, and by images."""
    monkeypatch.setattr("saev.shards.loading.interleaving.GOOD_PIECE_BYTES", 128 * 2**10)
    monkeypatch.setattr("saev.shards.loading.interleaving.SMALL_PIECE_BYTES", 36 * 2**10)
    counts, b = np.diff(np.arange(37) * 196 // 36), 4096
    sizes = LaneSizes.fitting(
        counts, n_examples=n_images, token_bytes=token_bytes, quota=b, buffer_tokens=buffer_tokens
    )
    example, ordinal, _, place = given(Schedule(counts, n_images, sizes, (0,), 0), np.full(n_images, 196))
    order = np.argsort(place)[: len(place) // b * b].reshape(-1, b)
    rows = np.stack([np.bincount(ordinal[batch] // 14, minlength=14) for batch in order])
    variance = ((rows - b / 14) ** 2).mean(axis=1) / (b / 14 * 13 / 14)
    tenth = len(order) // 10
    for part in (slice(tenth), slice(-tenth, None), slice(None)):
        assert variance[part].mean() < 1.3, variance
    distinct = np.array([len(np.unique(example[batch])) for batch in order])
    assert distinct.mean() > 0.85 * n_images * (1 - (1 - 1 / n_images) ** b)


def test_examples_with_few_tokens_come_at_all_times() -> None:
    """Most examples have 4 tokens, but most tokens are of examples that have 196."""
    n, b = 4000, 512
    counts = np.where(np.arange(n)[:, None] % 10 == 0, 14, [[1] * 4 + [0] * 10])
    sizes = LaneSizes.fitting(counts, n_examples=n, token_bytes=3072, quota=b, buffer_tokens=20_000)
    example, _, _, place = given(Schedule(counts, n, sizes, (0,), 0), counts.sum(axis=1))
    large = (example[np.argsort(place)] % 10 == 0)[: len(place) // b * b].reshape(-1, b).mean(axis=1)
    share = 196 / (196 + 9 * 4)
    assert np.abs(large[: len(large) // 10].mean() - share) < 0.1
    assert np.abs(large - share).mean() < 0.1
