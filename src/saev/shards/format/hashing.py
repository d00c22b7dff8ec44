"""What is hashed of a file and how: the whole (SHA-256), blocks of it and units of tokens (xxh3-64).

Evaluation verifies just the blocks that it touches. Training reads tens to hundreds of KB of one example at a time, for
which blocks are too large: it verifies units, short runs of the tokens of one example.
"""

import hashlib
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self, final

import xxhash

from saev.errors import InputError
from saev.shards.format.files import read_into
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.strict_json import JsonObject

BLOCK_BYTES: Final = 4 * 2**20
UNITS_FILE: Final = "units.xxh3"
UNIT_BYTES: Final = 16 * 2**10
HASH_BYTES: Final = 8
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_XXH3: Final = re.compile(r"[0-9a-f]{16}")


def n_blocks(n_bytes: int) -> int:
    """How many blocks a file of `n_bytes` has.

    >>> n_blocks(BLOCK_BYTES), n_blocks(BLOCK_BYTES + 1)
    (1, 2)
    """
    return -(-n_bytes // BLOCK_BYTES)


def blocks_touched(start: int, stop: int) -> range:
    """The blocks that hold the bytes from `start` up to, not including, `stop`.

    >>> blocks_touched(BLOCK_BYTES - 1, BLOCK_BYTES + 1)
    range(0, 2)
    """
    assert 0 <= start <= stop, (start, stop)
    return range(start // BLOCK_BYTES, n_blocks(stop)) if start < stop else range(0)


def block_span(block: int, n_bytes: int) -> tuple[int, int]:
    """First byte and end of a block in a file of `n_bytes`; the last block may be short.

    >>> block_span(1, BLOCK_BYTES + 10)
    (4194304, 4194314)
    """
    assert 0 <= block < n_blocks(n_bytes), (block, n_bytes)
    return block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, n_bytes)


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
            InputError: For anything that `to_dict` does not give.
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
        self.n_bytes = 0
        """Bytes taken so far."""
        self._sha256 = hashlib.sha256()
        self._block = xxhash.xxh3_64()
        self._blocks: list[str] = []

    def update(self, data: memoryview) -> None:
        """Take the next bytes (a view of format 'B')."""
        self._sha256.update(data)
        while data:
            part = data[: BLOCK_BYTES - self.n_bytes % BLOCK_BYTES]
            self._block.update(part)
            self.n_bytes += len(part)
            data = data[len(part) :]
            if self.n_bytes % BLOCK_BYTES == 0:
                self._blocks.append(self._block.hexdigest())
                self._block.reset()

    def record(self) -> FileRecord:
        """The hashes of all bytes so far."""
        last = [self._block.hexdigest()] if self.n_bytes % BLOCK_BYTES else []
        return FileRecord(self.n_bytes, self._sha256.hexdigest(), (*self._blocks, *last))


def hash_bytes(data: bytes) -> FileRecord:
    """The hashes of a small file."""
    hasher = FileHasher()
    hasher.update(memoryview(data))
    return hasher.record()


def hash_file(fd: int, progress: Callable[[int], None]) -> FileRecord:
    """The hashes of an open file from its beginning; `progress` is called with the bytes of each piece.

    Raises:
        OSError: If it cannot be read.
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
        acts: The stored bytes of the examples (a view of format 'B').
        bounds: Where the units of an example begin in its bytes, ascending from 0, and the number of its bytes.
    """
    spans = list(pairwise(bounds))
    starts = range(0, len(acts), bounds[-1])
    digests = [xxhash.xxh3_64_intdigest(acts[at + start : at + stop]) for at in starts for start, stop in spans]
    return struct.pack(f"<{len(digests)}Q", *digests)


def unit_bounds(tokens: TokenLayout, bytes_per_token: int) -> tuple[int, ...]:
    """The token positions where units begin, ascending from 0, and tokens.n_tokens.

    A unit holds either CLS and registers or patches. It has about UNIT_BYTES, less than UNIT_BYTES and one token, and
    the units of patches differ by at most one token, as do those before them.

    >>> unit_bounds(TokenLayout(cls=True, n_registers=0, grid=(3, 3)), UNIT_BYTES // 3)
    (0, 1, 4, 7, 10)
    """
    groups = _groups(tokens, bytes_per_token)
    return (*(start + i * n // n_units for start, n, n_units in groups for i in range(n_units)), tokens.n_tokens)


def unit_hash_bytes(layout: ShardLayout) -> int:
    """Bytes that the hashes of one example take in UNITS_FILE; no loop, the layout may be nonsense.

    >>> unit_hash_bytes(ShardLayout(7, TokenLayout(cls=True, n_registers=0, grid=(3, 3)), 8192, "int8", 7))
    48
    """
    return HASH_BYTES * sum(n_units for _, _, n_units in _groups(layout.tokens, layout.bytes_per_token))


def _groups(tokens: TokenLayout, bytes_per_token: int) -> Iterator[tuple[int, int, int]]:
    """First token, tokens and units of what comes before the patches, and of the patches."""
    for start, n in ((0, tokens.n_prefix), (tokens.n_prefix, tokens.n_content)):
        yield start, n, min(n, -(-n * bytes_per_token // UNIT_BYTES))
