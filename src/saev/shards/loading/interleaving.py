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
from dataclasses import dataclass, fields, replace
from typing import Final, Self, final

import numpy as np

from saev.mixing import mix64
from saev.ranges import Ints, numbered_ranges

Pieces = tuple[Ints, Ints, Ints]
"""Example, first ordinal and length of each."""

ORDER_VERSION: Final = 1
"""Another order of the same tokens needs another number: checkpoints go on with the order that they began with."""
GOOD_PIECE_BYTES: Final = 128 * 2**10
"""Reads of this size are nearly as fast as sequential ones; longer ones would mix less."""
SMALL_PIECE_BYTES: Final = 36 * 2**10
"""Rather than cut smaller pieces than this, a lane gives several tokens to a batch."""
HELD_SHARE: Final = 0.88
"""Share of the buffer that is planned for; the rest lets reading run ahead."""


@final
@dataclass(frozen=True)
class LaneSizes:
    """What fixes the order, beside the tokens themselves, the seed and the epoch."""

    lanes: int  # Pieces held at a time.
    per_visit: int  # Tokens that a lane gives in turn.
    pieces: int  # Pieces of an example, of nearly equal numbers of units.

    def __post_init__(self) -> None:
        assert min(self.lanes, self.per_visit, self.pieces) > 0, self

    @classmethod
    def fitting(cls, counts: Ints, *, n_examples: int, token_bytes: int, quota: int, buffer_tokens: int) -> Self:
        """Sizes for a buffer: pieces that are read fast, and then as many lanes as it has room for.

        With the least memory a lane gives several tokens to each batch (per_visit); with more of it each batch has
        one token of a piece, and with yet more only every second or third lane gives a token to a batch.

        Args:
            counts: Selected tokens of each unit: (n_units,), or of some examples (n, n_units) where these differ.
            n_examples: Selected examples.
            token_bytes: Bytes of a token on disk.
            quota: How many of a batch are from here, over all processes.
            buffer_tokens: Tokens that fit the buffer; at least one.
        """
        whole, held = float(counts.sum(axis=-1).mean()), HELD_SHARE * buffer_tokens
        good, small = (max(1.0, min(whole, n_bytes / token_bytes)) for n_bytes in (GOOD_PIECE_BYTES, SMALL_PIECE_BYTES))
        pieces_s = np.arange(1, counts.shape[-1] + 1)
        tokens_s = np.array([_mean_length(counts, int(pieces)) for pieces in pieces_s])
        per_visit = 1
        while True:
            lanes = quota // per_visit
            # On each lane half a piece, and half of the tokens of a visit, which it gives next; 2 deviations.
            held_s = lanes * (tokens_s + per_visit) / 2 * (1 + 2 / (3 * lanes) ** 0.5)
            fits = np.flatnonzero((held_s <= held) & (whole / pieces_s <= good))
            if len(fits) and (whole / pieces_s[fits[0]] >= small or lanes == 1):
                break
            if lanes == 1:
                return cls(1, quota, counts.shape[-1])
            per_visit = quota // lanes + 1
        chosen = fits[0]
        if per_visit == 1:
            most = min(held / held_s[chosen], n_examples * pieces_s[chosen] / 2 / quota)
            lanes *= max(1, int(most))
        return cls(lanes, per_visit, int(pieces_s[chosen]))


def _mean_length(counts: Ints, pieces: int) -> float:
    """Tokens of the piece that a lane holds, on average over time: long pieces are held for longer."""
    before = np.concatenate([np.zeros_like(counts[..., :1]), np.cumsum(counts, axis=-1)], axis=-1)
    length = np.diff(before[..., np.arange(pieces + 1) * counts.shape[-1] // pieces], axis=-1).astype(np.float64)
    return float((length**2).sum() / length.sum())


@final
@dataclass(frozen=True)
class Segments:
    """Pieces, or parts of them, in the order in which they are first needed: one entry each in every array.

    The tokens of a piece are given in a random order of their own, so that a part of it is a random choice of them.
    """

    example: Ints  # Number of the example among the selected ones.
    first: Ints  # Ordinal of the piece's first token; after the example's last token comes its first one.
    length: Ints  # Tokens of the piece, at least 1.
    skip: Ints  # How many of them, in their order, are not given here but in another part.
    count: Ints  # How many are given, at least 1.
    lane: Ints  # Which lane gives them.
    column: Ints  # Where in the lane the first one stands.

    def __len__(self) -> int:
        return len(self.example)

    def __getitem__(self, part: slice | Ints) -> "Segments":
        return Segments(*(getattr(self, field.name)[part] for field in fields(self)))

    @classmethod
    def whole(cls, example: Ints, first: Ints, length: Ints) -> "Segments":
        """Pieces that are given as a whole, in no lane yet."""
        nothing = np.zeros_like(length)
        return cls(example, first, length, nothing, length.copy(), nothing, nothing)


@final
class Schedule:
    """One epoch: which lane holds which tokens when, and so the place of every token in the order.

    Takes about 200 bytes a segment while it is made and 56 from then on; there are `pieces` segments for each example
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
        self._salt = rng.integers(2**63, dtype=np.uint64)
        queue = queue_of_pieces(counts, n_examples, sizes.pieces, rng)
        if counts.ndim == 2:
            queue = _long_ones_first(queue, sizes.lanes, rng)
        segments, ends = _fill_lanes(_start_in_the_middle(queue, sizes.lanes, rng), sizes.lanes)
        self._idle = self._idle_cells(ends)
        # Lanes take pieces column by column, but give several columns in turn.
        order = np.argsort(self._place(segments.lane, segments.column), kind="stable")
        self.segments = segments[order]

    def last_places(self) -> Ints:
        """The place in the epoch's order of the last token of each segment."""
        part = self.segments
        return self._place(part.lane, part.column + part.count - 1)

    def places(self, part: Segments) -> Ints:
        """For all tokens of the pieces of some segments: places in the epoch's order, or -1 for other parts' tokens."""
        number, within = rows_of(part)
        ordinal = (part.first[number] + within).astype(np.uint64)
        token = (part.example[number].astype(np.uint64) << np.uint64(24)) + ordinal
        order = np.lexsort((mix64(token + self._salt), number))
        rank = np.empty_like(number)
        rank[order] = within  # the numbers within a segment ascend
        given = rank - part.skip[number]
        column = part.column[number] + given
        here = (given >= 0) & (given < part.count[number])
        return np.where(here, self._place(part.lane[number], np.where(here, column, 0)), -1)

    def _place(self, lane: Ints, column: Ints) -> Ints:
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
        lane, column = numbered_ranges(ends, last - ends)
        return np.sort(self._cell(lane, column))


def rows_of(segments: Segments) -> tuple[Ints, Ints]:
    """For each token of the pieces of some segments, the number of its segment and its number in the piece."""
    return numbered_ranges(np.zeros(len(segments), dtype=np.int64), segments.length)


def queue_of_pieces(counts: Ints, n_examples: int, pieces: int, rng: np.random.Generator) -> Pieces:
    """All pieces: one of each example in turn, in a random order.

    The first cut of an example is at any unit, and the piece that holds its end goes on at its beginning, so that
    all are about as long and no place of an example is in longer ones than others.
    """
    n_units = counts.shape[-1]
    before = np.concatenate([np.zeros_like(counts[..., :1]), np.cumsum(counts, axis=-1)], axis=-1)
    order = rng.permutation(n_examples)
    # Dealt and not drawn: as many examples begin at each place, so that the tokens of any time are from all places.
    dealt = rng.permutation(n_examples)
    shift = dealt % n_units if pieces > 1 else np.zeros_like(dealt)
    turn = dealt // n_units % pieces  # which piece of an example comes first
    example = np.tile(order, pieces)
    piece = (np.repeat(np.arange(pieces), n_examples) + turn[example]) % pieces
    start, stop = (shift[example] + cut * n_units // pieces for cut in (piece, piece + 1))
    row: tuple[Ints, ...] = (example,) if counts.ndim == 2 else ()
    first = before[(*row, start % n_units)]
    length = before[(*row, stop % n_units)] - first + before[..., -1][row] * (stop // n_units - start // n_units)
    some = length > 0
    return example[some], first[some], length[some]


def _long_ones_first(queue: Pieces, lanes: int, rng: np.random.Generator) -> Pieces:
    """Begin with a choice of pieces by their lengths (Efraimidis and Spirakis 2006).

    Later on, too, lanes hold long pieces more often than short ones: for as many columns as they have tokens.
    """
    score = np.log(rng.random(len(queue[2]))) / queue[2]
    chosen = np.argsort(-score, kind="stable")[:lanes]
    others = np.ones(len(score), dtype=np.bool_)
    others[chosen] = False
    example, first, length = (np.concatenate([part[chosen], part[others]]) for part in queue)
    return example, first, length


def _start_in_the_middle(queue: Pieces, lanes: int, rng: np.random.Generator) -> Segments:
    """Let the lanes start with parts of pieces; what is left out comes at the end, the most of it first.

    So they need new pieces one after the other, and all end at about the same time.
    """
    pieces = Segments.whole(*queue)
    left_out = rng.integers(0, pieces.length[:lanes])
    pieces.count[:lanes] = pieces.length[:lanes] - left_out
    last = np.argsort(-left_out, kind="stable")[: np.count_nonzero(left_out)]
    rest = replace(pieces[last], skip=pieces.count[last], count=left_out[last])
    return _joined([pieces, rest])


def _joined(parts: Sequence[Segments]) -> Segments:
    return Segments(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Segments)))


def _fill_lanes(queue: Segments, lanes: int) -> tuple[Segments, Ints]:
    """Give each lane that is free the next of the queue; also returns the column where each lane ends.

    What a lane could not use up before the last column is cut off and waits again, so that fewer places than there are
    lanes stay idle (McNaughton 1959, "Scheduling with deadlines and loss functions": tasks that may be split).
    """
    end = -(-int(queue.count.sum()) // lanes)
    free_at = np.zeros(lanes, dtype=np.int64)
    filled = []
    while len(queue):
        now = free_at.min()
        lane = np.flatnonzero(free_at == now)[: len(queue)]
        new = queue[: len(lane)]
        used = np.minimum(new.count, end - now)
        filled.append(replace(new, count=used, lane=lane, column=np.full_like(lane, now)))
        free_at[lane] = now + used
        queue = queue[len(lane) :]
        cut = np.flatnonzero(used < new.count)
        if len(cut):
            # The most first as before: the others can be cut to what is left.
            rest = replace(new[cut], skip=(new.skip + used)[cut], count=(new.count - used)[cut])
            queue = _joined([queue, rest])
            queue = queue[np.argsort(-queue.count, kind="stable")]
    return _joined(filled), free_at
