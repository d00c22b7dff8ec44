"""The hashes of a file: SHA-256 of the whole and xxh3-64 of each block, in one pass."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import xxhash

from saev.shards.blocks import BLOCK_BYTES
from saev.shards.files import read_into


@final
@dataclass(frozen=True)
class FileRecord:
    """What the manifest says of one file."""

    n_bytes: int
    sha256: str
    blocks: tuple[str, ...]
    """xxh3-64 of each block of 4 MiB, in hex."""


@final
class FileHasher:
    """Takes the bytes of a file in pieces of any size."""

    def __init__(self) -> None:
        self._n_bytes = 0
        self._sha256 = hashlib.sha256()
        self._block = xxhash.xxh3_64()
        self._blocks: list[str] = []

    @property
    def n_bytes(self) -> int:
        """Bytes taken so far."""
        return self._n_bytes

    def update(self, data: memoryview) -> None:
        """Take the next bytes (a view of format 'B')."""
        self._sha256.update(data)
        while data:
            part = data[: BLOCK_BYTES - self._n_bytes % BLOCK_BYTES]
            self._block.update(part)
            self._n_bytes += len(part)
            data = data[len(part) :]
            if self._n_bytes % BLOCK_BYTES == 0:
                self._blocks.append(self._block.hexdigest())
                self._block.reset()

    def record(self) -> FileRecord:
        """The hashes of all bytes so far."""
        last = [self._block.hexdigest()] if self._n_bytes % BLOCK_BYTES else []
        return FileRecord(self._n_bytes, self._sha256.hexdigest(), (*self._blocks, *last))


def hash_bytes(data: bytes) -> FileRecord:
    """The hashes of a small file."""
    hasher = FileHasher()
    hasher.update(memoryview(data))
    return hasher.record()


def hash_file(fd: int, progress: Callable[[int], None]) -> FileRecord:
    """The hashes of an open file from its beginning; `progress` hears the number of bytes of each piece.

    Raises:
        OSError: if it cannot be read.
    """
    hasher = FileHasher()
    buffer = memoryview(bytearray(BLOCK_BYTES))
    while n := read_into(fd, buffer, hasher.n_bytes):
        hasher.update(buffer[:n])
        progress(n)
    return hasher.record()
