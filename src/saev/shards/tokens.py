"""Which tokens of which examples are used."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.errors import InputError
from saev.ranges import Ints
from saev.shards.format.hashing import unit_bounds, unit_hash_bytes
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader

NEAR_BYTES: Final = 4 * 2**20  # Examples closer than this are read in one go.
MAX_READ_BYTES: Final = 64 * 2**20  # Upper bound of one read, as float32 in memory.


@final
@dataclass(frozen=True)
class TokenSelection:
    """Tokens of one shard directory, or the same tokens of several layers."""

    readers: tuple[ShardReader, ...]
    """The shard directories; several of them are layers of the same images, and a token is what they hold of it one
    after the other."""
    examples: Ints  # (n,) ascending indices of the examples.
    positions: range  # Which tokens of each example.
    kept: NDArray[np.bool_] | None = None  # bool (n, positions), which of these are used at all; by default all.

    @classmethod
    def of(
        cls,
        readers: Sequence[ShardReader],
        examples: Ints,
        kind: TokenKind,
        ignore_labels: Sequence[int] = (),
    ) -> "TokenSelection":
        """The tokens of one kind, without the patches that have one of these labels.

        Raises:
            InputError: If the examples have no such tokens, or no patch labels were recorded.
        """
        reader = readers[0]
        positions = reader.layout.tokens.positions(kind)
        if not ignore_labels:
            return cls(tuple(readers), examples, positions)
        labels = reader.patch_labels()
        if labels is None:
            raise InputError(f"ignore_labels: {reader.path} has no patch labels, so that none can be ignored")
        kept = np.ones((len(examples), len(positions)), dtype=np.bool_)
        content = reader.layout.tokens.positions("content")
        if positions.stop == content.stop:  # CLS and registers have no label
            ignored = np.isin(labels[examples], np.asarray(ignore_labels, dtype=np.uint8))
            kept[:, content.start - positions.start :] = ~ignored
        some = kept.any(axis=1)
        if not some.any():
            raise InputError(f"{reader.path}: all patches have the labels {list(ignore_labels)}: nothing is left")
        return cls(tuple(readers), examples[some], positions, kept[some])

    @property
    def reader(self) -> ShardReader:
        """The first directory: what is said of the examples is said there."""
        return self.readers[0]

    @property
    def paths(self) -> str:
        """The directories, for messages."""
        return ", ".join(str(reader.path) for reader in self.readers)

    @cached_property
    def n_tokens(self) -> int:
        """Selected tokens."""
        return int(self.kept.sum()) if self.kept is not None else len(self.examples) * len(self.positions)

    @property
    def d_model(self) -> int:
        """Width of a token: that of all layers together."""
        return sum(reader.layout.d_model for reader in self.readers)

    @property
    def token_bytes(self) -> int:
        """Bytes of a token as it is stored, of all layers together."""
        return sum(reader.layout.bytes_per_token for reader in self.readers)

    def identity(self) -> dict[str, str]:
        """Identifies these tokens: equal for equal tokens, on any machine."""
        examples = hashlib.sha256(self.examples.astype("<i8").tobytes())
        if self.kept is not None:
            examples.update(np.packbits(self.kept).tobytes())
        return {
            "shards": " + ".join(reader.recording.content_id for reader in self.readers),
            "bytes": " + ".join(reader.manifest.bytes_digest for reader in self.readers),
            "layers": " + ".join(str(reader.recording.layer) for reader in self.readers),
            "tokens": f"{self.positions.start} to {self.positions.stop} of each image",
            "images": f"{len(self.examples)} ({examples.hexdigest()[:12]})",
        }

    @property
    def counts(self) -> Ints:
        """Selected tokens of each example (n,)."""
        return self.counts_of(np.arange(len(self.examples)))

    def counts_of(self, examples: Ints) -> Ints:
        """Selected tokens of some examples, by their numbers in the selection."""
        if self.kept is None:
            return np.full(len(examples), len(self.positions), dtype=np.int64)
        counts: Ints = self.kept[examples].sum(axis=1, dtype=np.int64)
        return counts

    def unit_counts(self) -> Ints:
        """Selected tokens in each unit of the disk: (units,) where all examples are alike, otherwise (n, units)."""
        bounds = unit_bounds(self.reader.layout.tokens, self.reader.layout.bytes_per_token)
        inside = np.clip(bounds, self.positions.start, self.positions.stop) - self.positions.start
        if self.kept is None:
            return np.diff(inside).astype(np.int64)
        units = pairwise(inside.tolist())
        return np.stack([self.kept[:, first:stop].sum(axis=1, dtype=np.int64) for first, stop in units], axis=1)

    @property
    def hash_bytes(self) -> int:
        """Bytes of the hashes that reading keeps in memory."""
        return sum(
            reader.layout.n_examples * unit_hash_bytes(reader.layout)
            for reader in self.readers
            if reader.manifest.has_hashes
        )

    def subset(self, n_examples: int, seed: int) -> "TokenSelection":
        """At most so many examples, a random choice of blocks that lie together on disk."""
        if n_examples >= len(self.examples):
            return self
        per_block = max(1, NEAR_BYTES // self.reader.layout.bytes_per_example)
        blocks = np.split(np.arange(len(self.examples)), range(per_block, len(self.examples), per_block))
        chosen = random_subset(len(blocks), -(-n_examples // per_block), seed)
        return self.take(np.concatenate([blocks[block] for block in chosen])[:n_examples])

    def take(self, numbers: Ints) -> "TokenSelection":
        """Some of the examples, by their ascending numbers in the selection."""
        kept = None if self.kept is None else self.kept[numbers]
        return TokenSelection(self.readers, self.examples[numbers], self.positions, kept)

    def among(self, examples: Sequence[int] | Ints) -> "TokenSelection":
        """Some of the examples, by their numbers in the shards.

        Raises:
            InputError: If none of them is among those of the selection.
        """
        found = self.take(np.flatnonzero(np.isin(self.examples, np.asarray(examples))))
        if not len(found.examples):
            raise InputError(
                f"{self.paths}: none of the images that are to be looked at has such a token: choose more images"
            )
        return found

    def read(self, examples: Ints) -> Iterator[Tensor]:
        """All tokens at the positions, kept or not, of ascending examples: float32 (n, positions, d_model), a stretch
        of disk at a time.

        Small gaps are read over: the checksums cover whole blocks anyway.
        """
        if not len(examples):
            yield torch.empty(0, len(self.positions), self.d_model)
            return
        example_bytes = max(reader.layout.bytes_per_example for reader in self.readers)
        float32_bytes = 4 * self.reader.layout.tokens.n_tokens * self.d_model
        far = np.diff(examples) > max(1, NEAR_BYTES // example_bytes)
        full = np.diff(examples // max(1, MAX_READ_BYTES // float32_bytes)) > 0
        for part in np.split(examples, np.flatnonzero(far | full) + 1):
            columns = [reader.read_tokens(part, self.positions).float() for reader in self.readers]
            yield columns[0] if len(columns) == 1 else torch.cat(columns, dim=-1)


def random_subset(n_examples: int, size: int, seed: int) -> Ints:
    """A random choice of examples, ascending. A larger size with the same seed contains the smaller one's.

    >>> random_subset(10, 3, seed=0).tolist()
    [1, 4, 7]
    """
    return np.sort(random_order(np.arange(n_examples), seed)[:size])


def random_order(numbers: Ints, seed: int) -> Ints:
    """Numbers in a random order that depends on how many they are and on the seed alone."""
    order = np.random.default_rng([seed, len(numbers)]).permutation(len(numbers))
    return numbers[order].astype(np.int64)
