"""Reads activations back, verifying every block on the way.

Shapes: n examples, T tokens of an example, D width of the model.
"""

import sys
from bisect import bisect_left, bisect_right
from typing import final

import torch
from torch import Tensor

from saev.errors import InputError
from saev.memory import empty_bytes
from saev.ranges import Ints
from saev.shards.format.dtypes import decode, tensor_bytes
from saev.shards.format.hashing import block_span
from saev.shards.reading.block_reads import BlockError, read_span, read_unverified
from saev.shards.reading.directory import ShardDirectory
from saev.shards.reading.unit_reads import UnitReads


@final
class ShardReader(ShardDirectory):
    """Random access to the tokens of a finished directory; no state but its description.

    Safe for several threads and processes at once: every read opens the file anew. A directory without hashes is read
    without verification.
    """

    def __post_init__(self) -> None:
        assert sys.byteorder == "little", "shards are little-endian"

    def read(self, start: int, stop: int) -> Tensor:
        """The activations (stop - start, T, D) of some examples, in the stored dtype; int8 is decoded to float32.

        Beside the result it holds half a MiB, and for int8 the stored bytes, about a quarter of the result.

        Raises:
            InputError: If a block that it touches is damaged, naming shard, block and examples.
        """
        layout = self.layout
        assert 0 <= start <= stop <= layout.n_examples, (start, stop, layout.n_examples)
        stored = empty_bytes((stop - start, layout.tokens.n_tokens, layout.bytes_per_token))
        rest = tensor_bytes(stored)
        while rest:
            shard, offset = layout.locate(stop - len(rest) // layout.bytes_per_example)
            n_bytes = min(len(rest), layout.bytes_per_shard - offset)
            self._read_into(rest[:n_bytes], shard, offset)
            rest = rest[n_bytes:]
        return decode(stored, layout.dtype)

    def read_tokens(self, examples: Ints, positions: range) -> Tensor:
        """Some tokens (n, positions, D) of ascending examples, all that lies between them being read, too.

        Where a block is damaged, the tokens are read by themselves: only what is asked for has to be whole.

        Raises:
            InputError: If some of these tokens are damaged, naming shard, block and example.
        """
        first = int(examples[0])
        try:
            span = self.read(first, int(examples[-1]) + 1)
        except InputError:
            if not self.manifest.has_hashes:
                raise
            return self._read_alone(examples, positions)
        return span[torch.from_numpy(examples - first), positions.start : positions.stop]

    def _read_alone(self, examples: Ints, positions: range) -> Tensor:
        layout, units = self.layout, self.units()
        low = bisect_right(units.bounds, positions.start) - 1
        high = bisect_left(units.bounds, positions.stop)
        begin = units.bounds[low]
        stored = empty_bytes((len(examples), units.bounds[high] - begin, layout.bytes_per_token))
        try:
            for example, target in zip(examples.tolist(), stored, strict=True):
                units.read(example, low, high, tensor_bytes(target))
        finally:
            units.close()
        return decode(stored, layout.dtype)[:, positions.start - begin : positions.stop - begin]

    def units(self) -> UnitReads:
        """Reads short runs of tokens of single examples; to be closed.

        Raises:
            InputError: If the file of their hashes cannot be opened.
        """
        return UnitReads(self)

    def _read_into(self, target: memoryview, shard: int, offset: int) -> None:
        """Fill `target` with a shard's bytes from `offset` on."""
        layout, name = self.layout, self.layout.file_name(shard)
        if not self.manifest.has_hashes:
            spans = self.layer.spans(offset, len(target), layout.bytes_per_example)
            read_unverified(self.path, name, spans, target)
            return
        try:
            read_span(self.path, name, self.manifest.files[name], offset, target)
        except BlockError as fault:
            begin, end = block_span(fault.block, layout.bytes_per_shard)
            examples = layout.examples_in_span(shard, begin, end)
            raise InputError(
                f"{self.path / name}: block {fault.block} (bytes {begin} to {end}, examples {examples.start} to "
                f"{examples.stop}) {fault}: run `saev shards verify`, then copy or record it again"
            ) from fault
