"""The hashes of a file: SHA-256 of the whole and xxh3-64 of each block, in one pass; and those of units."""

import hashlib
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self, final

import xxhash

from saev.errors import InputError
from saev.shards.format.blocks import BLOCK_BYTES, n_blocks
from saev.shards.format.files import read_into
from saev.shards.format.strict_json import JsonObject

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_XXH3: Final = re.compile(r"[0-9a-f]{16}")


@final
@dataclass(frozen=True)
class FileRecord:
    """What the manifest says of one file."""

    n_bytes: int
    sha256: str
    blocks: tuple[str, ...]
    """xxh3-64 of each block of 4 MiB, in hex."""

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {"bytes": self.n_bytes, "sha256": self.sha256, "xxh3_64": list(self.blocks)}

    @classmethod
    def from_dict(cls, value: object, where: str) -> Self:
        """From JSON, strictly.

        Raises:
            InputError: for anything that `to_dict` does not give.
        """
        found = JsonObject(value, where, ("bytes", "sha256", "xxh3_64"))
        record = cls(found.integer("bytes"), found.text("sha256"), tuple(found.texts("xxh3_64")))
        if not _SHA256.fullmatch(record.sha256) or not all(_XXH3.fullmatch(block) for block in record.blocks):
            raise InputError(f"{where}: its hashes are no hex digits of SHA-256 and xxh3-64")
        if len(record.blocks) != n_blocks(record.n_bytes):
            raise InputError(f"{where}: {len(record.blocks)} block hashes for {record.n_bytes} bytes")
        return record


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


def unit_hashes(acts: memoryview, bounds: Sequence[int]) -> bytes:
    """The xxh3-64 of each unit of some examples, as `units.xxh3` holds them: little-endian uint64 (example, unit).

    Args:
        acts: the stored bytes of the examples (a view of format 'B').
        bounds: where the units of an example begin in its bytes, ascending from 0, and the number of its bytes.
    """
    spans = list(pairwise(bounds))
    starts = range(0, len(acts), bounds[-1])
    digests = [xxhash.xxh3_64_intdigest(acts[at + start : at + stop]) for at in starts for start, stop in spans]
    return struct.pack(f"<{len(digests)}Q", *digests)
