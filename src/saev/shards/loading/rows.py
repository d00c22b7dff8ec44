"""Tokens in memory as rows: the bytes of a token as they are stored, those of several layers one after the other."""

import threading
import weakref
from collections.abc import Iterator
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.memory import empty_bytes
from saev.ranges import Ints, ranges
from saev.shards.format.dtypes import TORCH_DTYPES, decode
from saev.shards.loading.interleaving import Segments
from saev.shards.reading.unit_reads import UnitReads
from saev.shards.tokens import TokenSelection

Bytes = NDArray[np.uint8]
_SPARE_BATCHES: Final = 3


@final
class RowFormat:
    """How the bytes of a row stand for a token.

    Args:
        tokens: Tokens of one layer or several.
    """

    def __init__(self, tokens: TokenSelection) -> None:
        layouts = [reader.layout for reader in tokens.readers]
        self._stored = layouts[0].dtype
        ends = np.cumsum([layout.bytes_per_token for layout in layouts]).tolist()
        self.columns = [slice(end - layout.bytes_per_token, end) for end, layout in zip(ends, layouts, strict=True)]
        self.row_bytes: int = ends[-1]

    @property
    def decoded_bytes(self) -> int:
        """Bytes that `decode` takes for a row, beside the row."""
        return 4 * self.row_bytes if self._stored == "int8" else 0

    def decode(self, rows: Tensor) -> Tensor:
        """Tokens (n, d_model) of rows, uint8 (n, row_bytes): a view in the stored dtype, or float32 for int8."""
        if self._stored != "int8":
            return rows.view(TORCH_DTYPES[self._stored])
        return torch.cat([decode(rows[:, columns].contiguous(), "int8") for columns in self.columns], dim=-1)


def empty_rows(n: int, row_bytes: int) -> Bytes:
    """Memory of any content, uint8 (n, row_bytes)."""
    rows: Bytes = empty_bytes((n, row_bytes)).numpy()
    return rows


@final
class BatchMemory:
    """Memory for the rows of batches. It is used again as soon as nothing refers to the batch.

    New memory would cost several times as much as filling it: the kernel clears each of its pages first.

    Args:
        pin: Whether it is page-locked, so that copies to a GPU run beside computation.
    """

    def __init__(self, n: int, row_bytes: int, *, pin: bool) -> None:
        self._shape = (n, row_bytes)
        self._pin = pin
        self._spare: list[Bytes] = []

    def take(self) -> Tensor:
        """Rows of any content, uint8 (n, row_bytes)."""
        if self._pin:
            return torch.empty(self._shape, dtype=torch.uint8, pin_memory=True)  # torch uses these again itself
        memory = self._spare.pop() if self._spare else empty_rows(*self._shape)
        # The tensor and all that share its memory keep the view: it ends with the last of them.
        view = memory[:]
        weakref.finalize(view, self._give_back, memory).atexit = False
        return torch.from_numpy(view)

    def _give_back(self, memory: Bytes) -> None:
        if len(self._spare) < _SPARE_BATCHES:
            self._spare.append(memory)


@final
class RowReads:
    """Reads segments of selected tokens, verified; safe for several threads at once.

    Each thread keeps memory for what it reads in one call.
    """

    def __init__(self, tokens: TokenSelection) -> None:
        self._tokens = tokens
        columns = RowFormat(tokens).columns
        layers = zip(tokens.readers, columns, strict=True)
        self._layers = [_Layer(reader.units(), reader.layout.bytes_per_token, part) for reader, part in layers]

    def read(self, segments: Segments, slots: Ints, target: Bytes) -> None:
        """Put the tokens of segments into rows.

        Args:
            slots: For each token its row; -1, the last row, for those that are not wanted.
            target: uint8 (rows, row_bytes); the last row takes what is not wanted.

        Raises:
            InputError: For damaged or unreadable bytes, naming file, block, example and tokens.
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
            return ranges(segments.first + start, segments.length), starts
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
