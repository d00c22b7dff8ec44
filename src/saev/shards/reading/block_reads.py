"""Reads spans of a file, verifying every block that a span touches, or without hashes as they are.

The thread that reads a piece hashes it at once, while it is in the processor's cache. A helper thread was slower: on
busy cores, waking it takes longer than hashing.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, final

import numpy as np
import xxhash

from saev.errors import InputError
from saev.shards.format.files import fault_text, opened, read_into
from saev.shards.format.hashing import BLOCK_BYTES, FileRecord, block_span, blocks_touched

PIECE_BYTES: Final = 2**19  # fits into a core's second-level cache


@final
class BlockError(Exception):
    """A block that is damaged or cannot be read; the message stands behind the block's place."""

    def __init__(self, block: int, message: str) -> None:
        super().__init__(message)
        self.block = block


def read_span(directory: Path, name: str, record: FileRecord, offset: int, target: memoryview) -> None:
    """Fill `target` (a view of format 'B') with the bytes of a file from `offset` on.

    Beside `target` this takes half a MiB.

    Args:
        name: Its plain name.
        record: Its size and the hashes of its blocks.
        target: Memory for bytes that all lie in the file.

    Raises:
        BlockError: If a block that the span touches is damaged, or the disk fails.
        InputError: If the file cannot be opened.
    """
    stop = offset + len(target)
    assert 0 <= offset <= stop <= record.n_bytes, (offset, stop, record.n_bytes)
    scratch = np.empty(PIECE_BYTES, dtype=np.uint8).data
    with opened(directory, name) as fd:
        for block in blocks_touched(offset, stop):
            begin, end = block_span(block, record.n_bytes)
            wanted = target[max(begin - offset, 0) : end - offset]
            before, after = max(offset - begin, 0), max(end - stop, 0)
            pieces = (*_outside(before, scratch), *_split(wanted), *_outside(after, scratch))
            _read_verified(fd, block, pieces, record.blocks[block])


def _outside(n_bytes: int, scratch: memoryview) -> Iterator[memoryview]:
    """Places for bytes that are only hashed: the same memory again and again."""
    for start in range(0, n_bytes, PIECE_BYTES):
        yield scratch[: n_bytes - start]


def _split(target: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(target), PIECE_BYTES):
        yield target[start : start + PIECE_BYTES]


def _read_verified(fd: int, block: int, pieces: Iterable[memoryview], expected: str) -> None:
    """Read a whole block into pieces of memory and verify it."""
    hasher, offset = xxhash.xxh3_64(), block * BLOCK_BYTES
    for piece in pieces:
        _read(fd, block, piece, offset)
        hasher.update(piece)
        offset += len(piece)
    found = hasher.hexdigest()
    if found != expected:
        raise BlockError(block, f"is damaged: its xxh3-64 is {found}, the manifest says {expected}")


def _read(fd: int, block: int, target: memoryview, offset: int) -> None:
    try:
        found = read_into(fd, target, offset)
    except OSError as error:
        raise BlockError(block, fault_text(error)) from error
    if found < len(target):
        raise BlockError(block, f"is damaged: the file ends at byte {offset + found}")


def read_unverified(directory: Path, name: str, spans: Iterable[tuple[int, int]], target: memoryview) -> None:
    """Fill `target` (a view of format 'B') with spans of a file that has no hashes; reads nothing else.

    Args:
        name: Its plain name.
        spans: First byte and number of bytes of each, as many bytes in all as `target` has.
        target: Memory for them, one after the other.

    Raises:
        InputError: If the file cannot be read or ends too early.
    """
    path = directory / name
    with opened(directory, name) as fd:
        for begin, n_bytes in spans:
            try:
                found = read_into(fd, target[:n_bytes], begin)
            except OSError as error:
                raise InputError(f"{path}: {fault_text(error)}") from error
            if found < n_bytes:
                raise InputError(f"{path}: ends before byte {begin + n_bytes}: copy it again")
            target = target[n_bytes:]
