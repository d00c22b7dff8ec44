"""Reads runs of tokens from disk into rows of memory."""

import threading
from collections.abc import Iterator
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.shards.loading.lanes import Ints, Segments, runs
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
        self._memory = threading.local()

    def read(self, segments: Segments, slots: Ints, target: Bytes) -> None:
        """Put the tokens of segments into rows.

        Args:
            segments: What to read.
            slots: For each token its row; -1, the last row, for those that are not wanted.
            target: uint8 (rows, row_bytes); the last row takes what is not wanted.

        Raises:
            InputError: for damaged or unreadable bytes, naming file, block, example and tokens.
        """
        example = self._tokens.examples[segments.example].tolist()
        positions, starts = self._positions(segments)
        ends = np.append(starts[1:], len(positions))
        for layer in self._layers:
            begin, end = layer.unit_at[positions[starts]], layer.unit_at[positions[ends - 1]] + 1
            wanted = list(zip(example, begin.tolist(), end.tolist(), strict=True))
            for run in wanted:
                layer.units.prefetch(*run)
            # Whole units are read: of the tokens at their ends some belong to other segments.
            low = layer.bounds[begin]
            lengths = layer.bounds[end] - low
            before = np.cumsum(lengths) - lengths
            found = self._read(layer, wanted, (before * layer.token_bytes).tolist(), int(lengths.sum()))
            places = np.full(len(found), -1, dtype=np.int64)
            places[positions + np.repeat(before - low, ends - starts)] = slots
            _scatter(target[:, layer.columns], places, found)

    def close(self) -> None:
        """Close all files."""
        for layer in self._layers:
            layer.units.close()

    def _positions(self, segments: Segments) -> tuple[Ints, Ints]:
        """Where the tokens stand in their examples, and which of them are the first ones of their segments."""
        starts = np.cumsum(segments.length) - segments.length
        if self._tokens.kept is None:
            return runs(segments.first, segments.length)[1] + self._tokens.positions.start, starts
        return np.concatenate(list(self._kept_positions(segments))) + self._tokens.positions.start, starts

    def _kept_positions(self, segments: Segments) -> Iterator[Ints]:
        assert self._tokens.kept is not None
        for example, first, length in zip(segments.example, segments.first, segments.length, strict=True):
            yield np.flatnonzero(self._tokens.kept[example])[first : first + length]

    def _read(self, layer: "_Layer", wanted: list[tuple[int, int, int]], starts: list[int], n: int) -> Bytes:
        """The stored bytes of so many tokens in runs of units: uint8 (n, token bytes)."""
        n_bytes = n * layer.token_bytes
        memory: Bytes | None = getattr(self._memory, "bytes", None)
        if memory is None or len(memory) < n_bytes:
            memory = self._memory.bytes = np.empty(n_bytes, dtype=np.uint8)
        view = memory.data
        for run, start, end in zip(wanted, starts, [*starts[1:], n_bytes], strict=True):
            layer.units.read(*run, view[start:end])
        return memory[:n_bytes].reshape(n, layer.token_bytes)


@final
class _Layer:
    def __init__(self, units: UnitReads, token_bytes: int, columns: slice) -> None:
        self.units = units
        self.token_bytes = token_bytes
        self.columns = columns
        self.bounds: Ints = np.asarray(units.bounds, dtype=np.int64)
        sizes = np.diff(self.bounds)
        self.unit_at: Ints = np.repeat(np.arange(len(sizes)), sizes)


def _scatter(target: Bytes, rows: Ints, found: Bytes) -> None:
    if target.flags.c_contiguous:
        # Rows as single items: twice as fast, and other threads may run meanwhile.
        row: NDArray[np.void] = np.dtype((np.void, target.shape[1]))  # type: ignore[assignment]
        target.view(row)[rows, 0] = found.view(row)[:, 0]
    else:
        target[rows] = found
