"""Reads runs of tokens from disk into rows of memory."""

import threading
from collections.abc import Iterator
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.shards.format.runs import Ints, runs
from saev.shards.loading.lanes import Segments
from saev.shards.loading.rows import Bytes, RowFormat
from saev.shards.loading.selection import TokenSelection
from saev.shards.reading.unit_reads import UnitReads


@final
class RowReads:
    """Reads segments of selected tokens, verified; safe for several threads at once.

    Each thread keeps memory for what it reads in one call.

    Args:
        tokens: Where the segments are from.
    """

    def __init__(self, tokens: TokenSelection) -> None:
        self._tokens = tokens
        columns = RowFormat(tokens).columns
        layers = zip(tokens.readers, columns, strict=True)
        self._layers = [_Layer(reader.units(), reader.layout.bytes_per_token, part) for reader, part in layers]

    def read(self, segments: Segments, slots: Ints, target: Bytes) -> None:
        """Put the tokens of segments into rows.

        Args:
            segments: What to read.
            slots: For each token its row; -1, the last row, for those that are not wanted.
            target: uint8 (rows, row_bytes); the last row takes what is not wanted.

        Raises:
            InputError: for damaged or unreadable bytes, naming file, block, example and tokens.
        """
        segments = self._unwrapped(segments)
        examples = self._tokens.examples[segments.example]
        positions, starts = self._positions(segments)
        for layer in self._layers:
            layer.read(examples, positions, starts, slots, target)

    def close(self) -> None:
        """Close all files."""
        for layer in self._layers:
            layer.units.close()

    def _unwrapped(self, segments: Segments) -> Segments:
        """The same tokens in the same order, where a piece goes on at the beginning of its example as two pieces."""
        total = self._tokens.counts_of(segments.example)
        over = np.maximum(0, segments.first + segments.length - total)
        second = np.flatnonzero(over)
        if not len(second):
            return segments
        example = np.insert(segments.example, second + 1, segments.example[second])
        first = np.insert(segments.first, second + 1, 0)
        return Segments.whole(example, first, np.insert(segments.length - over, second + 1, over[second]))

    def _positions(self, segments: Segments) -> tuple[Ints, Ints]:
        """Where the tokens stand in their examples, and which of them are the first ones of their segments."""
        starts = np.cumsum(segments.length) - segments.length
        start = self._tokens.positions.start
        if self._tokens.kept is None:
            return runs(segments.first + start, segments.length)[1], starts
        return np.concatenate(list(self._kept_positions(segments))) + start, starts

    def _kept_positions(self, segments: Segments) -> Iterator[Ints]:
        assert self._tokens.kept is not None
        for example, first, length in zip(segments.example, segments.first, segments.length, strict=True):
            yield np.flatnonzero(self._tokens.kept[example])[first : first + length]


@final
class _Layer:
    def __init__(self, units: UnitReads, token_bytes: int, columns: slice) -> None:
        self.units = units
        self._token_bytes = token_bytes
        self._columns = columns
        self._bounds: Ints = np.asarray(units.bounds, dtype=np.int64)
        sizes = np.diff(self._bounds)
        self._unit_at: Ints = np.repeat(np.arange(len(sizes)), sizes)
        self._memory = threading.local()

    def read(self, examples: Ints, positions: Ints, starts: Ints, slots: Ints, target: Bytes) -> None:
        """As `RowReads.read`, for the columns of one layer; the runs of positions begin at `starts`."""
        ends = np.append(starts[1:], len(positions))
        first, stop = self._unit_at[positions[starts]], self._unit_at[positions[ends - 1]] + 1
        # Whole units are read: of the tokens at their ends some belong to other segments.
        low, length = self._bounds[first], self._bounds[stop] - self._bounds[first]
        before = np.cumsum(length) - length
        rows = np.full(length.sum(), -1, dtype=np.int64)
        rows[positions + np.repeat(before - low, ends - starts)] = slots
        target = target[:, self._columns]
        if target.flags.c_contiguous and rows[0] >= 0 and (np.diff(rows) == 1).all():
            # The tokens go one after the other, without a place in between.
            self.units.read_many(examples, first, stop, target[rows[0] : rows[0] + len(rows)])
        else:
            found = self._scratch(len(rows))
            self.units.read_many(examples, first, stop, found)
            _scatter(target, rows, found)

    def _scratch(self, n: int) -> Bytes:
        """This thread's memory for so many tokens, uint8 (n, token bytes)."""
        memory: Bytes | None = getattr(self._memory, "bytes", None)
        if memory is None or len(memory) < n:
            memory = self._memory.bytes = np.empty((n, self._token_bytes), dtype=np.uint8)
        return memory[:n]


def _scatter(target: Bytes, rows: Ints, found: Bytes) -> None:
    if target.flags.c_contiguous:
        # Rows as single items: twice as fast, and other threads may run meanwhile.
        row = np.dtype((np.void, target.shape[1]))
        items: NDArray[np.void] = target.view(row)
        items[rows, 0] = found.view(row)[:, 0]
    else:
        target[rows] = found
