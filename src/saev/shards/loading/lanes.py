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
from numpy.typing import NDArray

Ints = NDArray[np.int64]

ORDER_VERSION: Final = 1
"""Another order of the same tokens needs another number: checkpoints go on with the order that they began with."""
GOOD_PIECE_BYTES: Final = 128 * 2**10
"""Reads of this size are nearly as fast as sequential ones; longer ones would mix less."""
SMALL_PIECE_BYTES: Final = 44 * 2**10
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
        whole = -(-n_tokens // n_examples)
        good, small = (min(whole, max(1, n_bytes // token_bytes)) for n_bytes in (GOOD_PIECE_BYTES, SMALL_PIECE_BYTES))
        held = max(1.0, HELD_SHARE * buffer_tokens)
        per_visit = 1
        while _longest_piece(held, batch_size, per_visit) < small and per_visit < batch_size:
            per_visit += 1
        lanes = batch_size // per_visit
        pieces = min(n_units, -(-whole // max(1, min(good, _longest_piece(held, batch_size, per_visit)))))
        if per_visit == 1:
            most = min(2 * held / (-(-whole // pieces) + 1), n_examples * pieces / 2)
            lanes *= max(1, int(most / batch_size))
        return cls(lanes, per_visit, pieces)


def _longest_piece(held: float, batch_size: int, per_visit: int) -> int:
    """Tokens of a piece with which just enough lanes for a batch hold so many tokens before a batch leaves.

    Each has half a piece on average, and half of the tokens of a visit, which it gives next.
    """
    return int(2 * held / (batch_size / per_visit)) - per_visit


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


def runs(starts: Ints, lengths: Ints) -> tuple[Ints, Ints]:
    """Runs of consecutive integers: which run each is in, and the integers.

    >>> [part.tolist() for part in runs(np.array([5, 0]), np.array([2, 3]))]
    [[0, 0, 1, 1, 1], [5, 6, 0, 1, 2]]
    """
    number = np.repeat(np.arange(len(starts)), lengths)
    before = np.cumsum(lengths) - lengths
    return number, np.arange(len(number)) - before[number] + starts[number]


def queue_of_pieces(counts: Ints, n_examples: int, pieces: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Example, first ordinal and length of all pieces: one of each example in turn, in a random order."""
    n_units = counts.shape[-1]
    before = np.concatenate([np.zeros_like(counts[..., :1]), np.cumsum(counts, axis=-1)], axis=-1)
    order = rng.permutation(n_examples)
    turn = rng.integers(pieces, size=n_examples)  # which piece of an example comes first
    example = np.tile(order, pieces)
    piece = (np.repeat(np.arange(pieces), n_examples) + turn[example]) % pieces
    start, stop = piece * n_units // pieces, (piece + 1) * n_units // pieces
    row: tuple[Ints, ...] = (example,) if counts.ndim == 2 else ()
    first = before[(*row, start)]
    length = before[(*row, stop)] - first
    some = length > 0
    return example[some], first[some], length[some]


def _start_in_the_middle(
    queue: tuple[Ints, Ints, Ints], lanes: int, rng: np.random.Generator
) -> tuple[Ints, Ints, Ints]:
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
