"""Reads runs of tokens from disk into rows of memory."""

import threading
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.shards.loading.lanes import Ints, Segments
from saev.shards.loading.rows import RowFormat
from saev.shards.loading.selection import TokenSelection
from saev.shards.reading.unit_reads import UnitReads

Bytes = NDArray[np.uint8]


@final
class RowReads:
    """Reads segments of selected tokens, verified; safe for several threads at once.

    Each thread keeps the memory of one run of units, up to all stored bytes of an example.

    Args:
        tokens: Where the segments are from.
    """

    def __init__(self, tokens: TokenSelection) -> None:
        self._tokens = tokens
        columns = RowFormat(tokens).columns
        layers = zip(tokens.readers, columns, strict=True)
        self._layers = [_Layer(reader.units(), reader.layout.bytes_per_token, part) for reader, part in layers]
        self._memory = threading.local()

    def read(self, segments: Segments, slots: Ints | int, target: Bytes) -> None:
        """Put the tokens of segments into rows.

        Args:
            segments: What to read.
            slots: For each token its row, or -1 if it is not wanted; or the row of the first one, where they go one
                after the other.
            target: uint8 (rows, row_bytes).

        Raises:
            InputError: for damaged or unreadable bytes, naming file, block, example and tokens.
        """
        runs = [self._positions(*run) for run in zip(segments.example, segments.first, segments.length, strict=True)]
        examples = self._tokens.examples[segments.example].tolist()
        for layer in self._layers:
            for example, (first, stop, _) in zip(examples, runs, strict=True):
                layer.units.prefetch(example, *layer.unit_range(first, stop))
        end = 0
        for example, (first, stop, picked), length in zip(examples, runs, segments.length.tolist(), strict=True):
            start, end = end, end + length
            rows = slice(slots + start, slots + end) if isinstance(slots, int) else slots[start:end]
            for layer in self._layers:
                found = self._read(layer, example, first, stop)
                _put(target[:, layer.columns], rows, found if picked is None else found[picked])

    def close(self) -> None:
        """Close all files."""
        for layer in self._layers:
            layer.units.close()

    def _positions(self, example: int, first: int, length: int) -> tuple[int, int, Ints | None]:
        """Where the tokens of a segment stand in their example: a run of positions, and which of these if not all."""
        start = self._tokens.positions.start
        if self._tokens.kept is None:
            return int(start + first), int(start + first + length), None
        kept = np.flatnonzero(self._tokens.kept[example])[first : first + length]
        return int(start + kept[0]), int(start + kept[-1] + 1), kept - kept[0]

    def _read(self, layer: "_Layer", example: int, first: int, stop: int) -> Bytes:
        """The stored bytes of the tokens at some positions of an example: (stop - first, token bytes)."""
        begin, end = layer.unit_range(first, stop)
        low, high = layer.units.bounds[begin], layer.units.bounds[end]
        n_bytes = (high - low) * layer.token_bytes
        memory: Bytes | None = getattr(self._memory, "bytes", None)
        if memory is None or len(memory) < n_bytes:
            memory = self._memory.bytes = np.empty(n_bytes, dtype=np.uint8)
        layer.units.read(example, begin, end, memory.data[:n_bytes])
        return memory[:n_bytes].reshape(high - low, layer.token_bytes)[first - low : stop - low]


@final
class _Layer:
    def __init__(self, units: UnitReads, token_bytes: int, columns: slice) -> None:
        self.units = units
        self.token_bytes = token_bytes
        self.columns = columns
        sizes = np.diff(units.bounds)
        self._unit_at: list[int] = np.repeat(np.arange(len(sizes)), sizes).tolist()

    def unit_range(self, first: int, stop: int) -> tuple[int, int]:
        """The units that hold the tokens at these positions."""
        return self._unit_at[first], self._unit_at[stop - 1] + 1


def _put(target: Bytes, rows: slice | Ints, found: Bytes) -> None:
    if isinstance(rows, slice):
        target[rows] = found
        return
    wanted = rows >= 0
    if wanted.all():
        target[rows] = found
    else:
        target[rows[wanted]] = found[wanted]
