"""The order of training tokens where not all of them fit into memory: a pure function of sizes, seed and epoch.

Each example is cut into pieces of neighbouring tokens, and the pieces wait in a queue. A number of lanes each hold one
piece; in turn every lane gives a few tokens of its piece to the batch, and takes the next piece when its own is
used up. So a batch mixes as many pieces as there are lanes, a piece is spread over many batches, and what is in memory
is half a piece a lane: the lanes start in the middle of their pieces, or all would need a new one at once. Every
example comes once in the queue before any comes again, so that the pieces held at any time are of different examples.

Terms: a unit is a run of tokens that has its own hash on disk, a piece is a run of units, a segment is a piece or a
part of one as a lane holds it. A token's ordinal is its number among the selected tokens of its example. A column is
one token of each lane.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self, final

import numpy as np

from saev.shards.format.runs import Ints, runs

Pieces = tuple[Ints, Ints, Ints]
"""Example, first ordinal and length of each."""

ORDER_VERSION: Final = 1
"""Another order of the same tokens needs another number: checkpoints go on with the order that they began with."""
GOOD_PIECE_BYTES: Final = 128 * 2**10
"""Reads of this size are nearly as fast as sequential ones; longer ones would mix less."""
SMALL_PIECE_BYTES: Final = 40 * 2**10
"""Rather than cut smaller pieces than this, a lane gives several tokens to a batch."""
HELD_SHARE: Final = 0.88
"""Share of the buffer that is planned for; the rest lets reading run ahead."""


@final
@dataclass(frozen=True)
class LaneSizes:
    """What fixes the order, beside the tokens themselves, the seed and the epoch.

    Args:
        lanes: Pieces held at a time.
        per_visit: Tokens that a lane gives in turn.
        pieces: Pieces of an example, of nearly equal numbers of units.
    """

    lanes: int
    per_visit: int
    pieces: int

    def __post_init__(self) -> None:
        assert min(self.lanes, self.per_visit, self.pieces) > 0, self

    @classmethod
    def fitting(
        cls, *, n_examples: int, n_tokens: int, n_units: int, token_bytes: int, batch_size: int, buffer_tokens: int
    ) -> Self:
        """Sizes for a buffer: pieces that are read fast, and then as many lanes as it has room for.

        With the least memory a lane gives several tokens to each batch (per_visit); with more of it each batch has
        one token of a piece, and with yet more only every second or third lane gives a token to a batch.

        Args:
            n_examples: Selected examples.
            n_tokens: Selected tokens of all of them.
            n_units: Units of an example.
            token_bytes: Bytes of a token on disk.
            batch_size: Tokens of a batch over all processes.
            buffer_tokens: Tokens that fit the buffer; at least one.
        """
        whole, held = n_tokens / n_examples, HELD_SHARE * buffer_tokens
        good, small = (max(1.0, min(whole, n_bytes / token_bytes)) for n_bytes in (GOOD_PIECE_BYTES, SMALL_PIECE_BYTES))
        pieces_s = np.arange(1, n_units + 1)
        tokens_s = whole / n_units * np.array([_mean_length(n_units, int(pieces)) for pieces in pieces_s])
        for per_visit in range(1, batch_size + 1):
            lanes = batch_size // per_visit
            # Half a piece on each lane, and half of the tokens of a visit, which it gives next.
            held_s = lanes * (tokens_s + per_visit) / 2
            fits = np.flatnonzero((held_s <= held) & (whole / pieces_s <= good))
            if len(fits) and (whole / pieces_s[fits[0]] >= small or per_visit == batch_size):
                break
        else:
            return cls(1, batch_size, n_units)
        chosen = fits[0]
        if per_visit == 1:
            most = min(held / held_s[chosen], n_examples * pieces_s[chosen] / 2 / batch_size)
            lanes *= max(1, int(most))
        return cls(lanes, per_visit, int(pieces_s[chosen]))


def _mean_length(n_units: int, pieces: int) -> float:
    """Units of the piece that a lane holds, on average over time: long pieces are held for longer."""
    length = np.diff(np.arange(pieces + 1) * n_units // pieces)
    shifts = 1 / (6 * pieces) if pieces > 1 else 0.0  # the variance of the first and the last piece
    return float((length**2).sum() / n_units) * (1 + shifts)


@final
@dataclass(frozen=True)
class Segments:
    """Runs of tokens in the order in which they are first needed, one entry each in every array.

    Attributes:
        example: Number of the example among the selected ones.
        first: Ordinal of the first token.
        length: Number of tokens, at least 1.
        lane: Which lane holds them.
        column: Where in the lane the first one stands.
    """

    example: Ints
    first: Ints
    length: Ints
    lane: Ints
    column: Ints

    def __len__(self) -> int:
        return len(self.example)

    def __getitem__(self, part: slice | Ints) -> "Segments":
        return Segments(self.example[part], self.first[part], self.length[part], self.lane[part], self.column[part])


@final
class Schedule:
    """One epoch: which lane holds which tokens when, and so the place of every token in the order.

    Takes about 100 bytes a segment while it is made and 40 from then on; there are `pieces` segments for each example
    and another one for each lane.

    Args:
        counts: Selected tokens of each unit: (n_units,) if all examples are alike, else (n_examples, n_units).
        n_examples: Selected examples.
        sizes: Lanes and pieces.
        seed: Another seed is another order.
        epoch: Another epoch is another order.
    """

    def __init__(self, counts: Ints, n_examples: int, sizes: LaneSizes, seed: Sequence[int], epoch: int) -> None:
        rng = np.random.default_rng([*seed, epoch, ORDER_VERSION])
        self._sizes = sizes
        queue = _start_in_the_middle(queue_of_pieces(counts, n_examples, sizes.pieces, rng), sizes.lanes, rng)
        segments, ends = _fill_lanes(*queue, sizes.lanes)
        self._idle = self._idle_cells(ends)
        # Lanes take pieces column by column, but give several columns in turn.
        order = np.argsort(self.place(segments.lane, segments.column), kind="stable")
        self.segments = segments[order]

    def place(self, lane: Ints, column: Ints) -> Ints:
        """The places in the epoch's order, from 0, of the tokens at these columns of these lanes."""
        cell = self._cell(lane, column)
        # Towards the end lanes run dry one after the other; the rest moves up.
        return cell - np.searchsorted(self._idle, cell)

    def _cell(self, lane: Ints, column: Ints) -> Ints:
        """The places if no lane ever ran dry."""
        lanes, per_visit = self._sizes.lanes, self._sizes.per_visit
        visit, within = np.divmod(column, per_visit)
        return (visit * lanes + lane) * per_visit + within

    def _idle_cells(self, ends: Ints) -> Ints:
        last = -(-int(ends.max()) // self._sizes.per_visit) * self._sizes.per_visit
        lane, column = runs(ends, last - ends)
        return np.sort(self._cell(lane, column))


def rows_of(segments: Segments) -> tuple[Ints, Ints]:
    """For each token of some segments, the number of its segment and its number there."""
    number, within = runs(np.zeros(len(segments), dtype=np.int64), segments.length)
    return number, within


def queue_of_pieces(counts: Ints, n_examples: int, pieces: int, rng: np.random.Generator) -> Pieces:
    """Example, first ordinal and length of all pieces: one of each example in turn, in a random order."""
    n_units = counts.shape[-1]
    before = np.concatenate([np.zeros_like(counts[..., :1]), np.cumsum(counts, axis=-1)], axis=-1)
    order = rng.permutation(n_examples)
    turn = rng.integers(pieces, size=n_examples)  # which piece of an example comes first
    example = np.tile(order, pieces)
    piece = (np.repeat(np.arange(pieces), n_examples) + turn[example]) % pieces
    # Examples are cut at different places, or the tokens beside the cuts would gather in certain batches.
    shift = rng.uniform(-0.5, 0.5, n_examples)[example]
    start, stop = (
        np.where(
            (cut > 0) & (cut < pieces), ((cut + shift) * n_units / pieces).astype(np.int64), cut // pieces * n_units
        )
        for cut in (piece, piece + 1)
    )
    row: tuple[Ints, ...] = (example,) if counts.ndim == 2 else ()
    first = before[(*row, start)]
    length = before[(*row, stop)] - first
    some = length > 0
    return example[some], first[some], length[some]


def _start_in_the_middle(queue: Pieces, lanes: int, rng: np.random.Generator) -> Pieces:
    """Let the lanes start at random places of their pieces; what is left out comes at the end, the longest parts first.

    So they need new pieces one after the other, and all end at about the same time.
    """
    example, first, length = queue
    skipped = rng.integers(0, length[:lanes])
    last = np.argsort(-skipped, kind="stable")[: np.count_nonzero(skipped)]
    return (
        np.concatenate([example, example[last]]),
        np.concatenate([first[:lanes] + skipped, first[lanes:], first[last]]),
        np.concatenate([length[:lanes] - skipped, length[lanes:], skipped[last]]),
    )


def _fill_lanes(example: Ints, first: Ints, length: Ints, lanes: int) -> tuple[Segments, Ints]:
    """Give each lane that is free the next of the queue; also returns the column where each lane ends.

    What a lane could not use up before the last column is cut off and waits again, so that fewer places than there are
    lanes stay idle (McNaughton 1959, "Scheduling with deadlines and loss functions": tasks that may be split).
    """
    end = -(-int(length.sum()) // lanes)
    free_at = np.zeros(lanes, dtype=np.int64)
    filled = []
    while len(example):
        now = free_at.min()
        lane = np.flatnonzero(free_at == now)[: len(example)]
        new, later = slice(len(lane)), slice(len(lane), None)
        used = np.minimum(length[new], end - now)
        filled.append(Segments(example[new], first[new], used, lane, np.full_like(lane, now)))
        free_at[lane] = now + used
        cut = used < length[new]
        rest = (example[new][cut], (first[new] + used)[cut], (length[new] - used)[cut])
        example, first, length = example[later], first[later], length[later]
        if cut.any():
            # Longest first as before: the others can be cut to what is left.
            joined = [np.concatenate(parts) for parts in zip((example, first, length), rest, strict=True)]
            order = np.argsort(-joined[2], kind="stable")
            example, first, length = (part[order] for part in joined)
    columns = (np.concatenate([getattr(part, field.name) for part in filled]) for field in fields(Segments))
    return Segments(*columns), free_at
