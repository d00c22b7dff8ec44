"""Reads runs of tokens from disk into rows of memory."""

import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.shards.loading.lanes import Ints, Segments, runs
from saev.shards.loading.rows import Bytes, RowFormat
from saev.shards.loading.selection import TokenSelection
from saev.shards.reading.unit_reads import UnitReads

_CACHE_BYTES: Final = 2**19
"""What is read before it is put into place, while it is in a core's second-level cache."""


@final
class RowReads:
    """Reads segments of selected tokens, verified; safe for several threads at once.

    Each thread keeps memory for half a MiB or one segment.

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
        examples = self._tokens.examples[segments.example].tolist()
        positions, starts = self._positions(segments)
        for layer in self._layers:
            layer.read(examples, positions, starts, slots, target)

    def close(self) -> None:
        """Close all files."""
        for layer in self._layers:
            layer.units.close()

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

    def read(self, examples: list[int], positions: Ints, starts: Ints, slots: Ints, target: Bytes) -> None:
        """As `RowReads.read`, for the columns of one layer; the runs of positions begin at `starts`."""
        ends = np.append(starts[1:], len(positions))
        begin, end = self._unit_at[positions[starts]], self._unit_at[positions[ends - 1]] + 1
        wanted = list(zip(examples, begin.tolist(), end.tolist(), strict=True))
        for run in wanted:
            self.units.prefetch(*run)
        # Whole units are read: of the tokens at their ends some belong to other segments.
        low = self._bounds[begin]
        bounds = np.concatenate([[0], np.cumsum(self._bounds[end] - low)])
        places = np.full(bounds[-1], -1, dtype=np.int64)
        places[positions + np.repeat(bounds[:-1] - low, ends - starts)] = slots
        self._put(wanted, bounds, places, target[:, self._columns])

    def _put(self, wanted: list[tuple[int, int, int]], bounds: Ints, places: Ints, target: Bytes) -> None:
        """Read runs of units, a few at a time, and put each token into its place."""
        group = bounds[:-1] * self._token_bytes // _CACHE_BYTES
        cuts = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(wanted)]
        for first, stop in pairwise(cuts):
            low, high = int(bounds[first]), int(bounds[stop])
            rows = places[low:high]
            # Where the tokens go one after the other they need no place in between.
            direct = target.flags.c_contiguous and rows[0] >= 0 and bool((np.diff(rows) == 1).all())
            found = target[rows[0] : rows[0] + len(rows)] if direct else self._scratch(high - low)
            view = found.reshape(-1).data
            offsets = ((bounds[first : stop + 1] - low) * self._token_bytes).tolist()
            for run, (start, end) in zip(wanted[first:stop], pairwise(offsets), strict=True):
                self.units.read(*run, view[start:end])
            if not direct:
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
