"""Pictures as PNG files whose bytes depend on the pixels alone.

What compresses differs between versions of zlib, so that the same pixels would have other bytes, and another digest,
on another machine. These are not compressed, which is also ten times faster.
"""

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MOST: Final = 0xFFFF  # bytes of one block that is not compressed
_AROUND: Final = 68  # bytes of a file that are no pixels


def plain_png(pixels: NDArray[np.uint8]) -> bytes:
    """The file of a picture of colours.

    Args:
        pixels: (height, width, 3) uint8, RGB; with a byte for each row at most 65,535 bytes.

    Raises:
        InputError: If there are more.

    >>> len(plain_png(np.zeros((64, 64, 3), np.uint8)))
    12420
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with the number of its filter: none
    rows[:, 1:] = pixels.reshape(height, -1)
    data = rows.tobytes()
    if len(data) > _MOST:
        raise InputError(f"a picture of {width} x {height} pixels is too large to be written without compression")
    # The header of zlib, and that of a block which is the last one and stored as it is.
    stored = b"\x78\x01" + struct.pack("<BHH", 1, len(data), len(data) ^ _MOST) + data
    return (
        _SIGNATURE
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", stored + struct.pack(">I", zlib.adler32(data)))
        + _chunk(b"IEND", b"")
    )


def n_bytes_of_png(height: int, width: int) -> int:
    """The bytes of the file of a picture of this size."""
    return _AROUND + height * (1 + 3 * width)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
