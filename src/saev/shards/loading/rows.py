"""Tokens in memory as rows: the bytes of a token as they are stored, those of several layers one after the other."""

import weakref
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.memory import empty_bytes
from saev.shards.format.dtypes import TORCH_DTYPES
from saev.shards.format.quantization import decode
from saev.shards.loading.selection import TokenSelection

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
    """Memory for the rows of batches, used again when nobody holds the batch any more.

    New memory would cost several times as much as filling it: the kernel clears each of its pages first.

    Args:
        n: Rows of a batch.
        row_bytes: Bytes of a row.
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
        # The tensor keeps the view, and whatever shares its memory does; the view's end is the end of them all.
        view = memory[:]
        weakref.finalize(view, self._give_back, memory).atexit = False
        return torch.from_numpy(view)

    def _give_back(self, memory: Bytes) -> None:
        if len(self._spare) < _SPARE_BATCHES:
            self._spare.append(memory)
