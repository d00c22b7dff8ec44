"""Reads short runs of tokens of single examples, verified by the hashes of units."""

import os
import sys
from typing import Final, final

import numpy as np
import xxhash
from numpy.typing import NDArray

from saev.errors import InputError
from saev.ranges import Ints, numbered_ranges
from saev.shards.format.files import OpenFiles, fault_text, read_into, read_whole
from saev.shards.format.hashing import HASH_BYTES, UNITS_FILE, blocks_touched, unit_bounds
from saev.shards.reading.block_reads import BlockError, read_span
from saev.shards.reading.directory import ShardDirectory
from saev.shards.reading.read_ring import read_all

Bytes = NDArray[np.uint8]

MAX_OPEN_FILES: Final = 256
_ADVICE: Final = "run `saev shards verify`, then copy or record it again"


@final
class UnitReads:
    """Reads runs of units of single examples, verified unit by unit; safe for several threads at once.

    Where there are no hashes nothing is verified. The files of activations stay open, at most MAX_OPEN_FILES of them,
    and the hashes are kept in memory: 8 bytes for about 16 KiB.

    Raises:
        InputError: If the file of the hashes cannot be read.
    """

    def __init__(self, directory: ShardDirectory) -> None:
        assert sys.byteorder == "little", "shards are little-endian"
        layout = directory.layout
        self._directory = directory
        self.bounds = unit_bounds(layout.tokens, layout.bytes_per_token)
        """Token positions: the unit i holds the tokens bounds[i] to bounds[i + 1]."""
        self._starts = [bound * layout.bytes_per_token for bound in self.bounds]
        # Each unit's place in a file and after it: of the one layer of several that it may hold.
        self._example_bytes = layout.bytes_per_example * directory.layer.n_layers
        self._layer_start = layout.bytes_per_example * directory.layer.place
        self._per_shard = layout.examples_per_shard
        self._n_examples = layout.n_examples
        self._n_units = len(self.bounds) - 1
        self._hashes = _read_hashes(directory)
        self._files: OpenFiles | None = OpenFiles(directory.path, layout.file_name, MAX_OPEN_FILES)

    def read(self, example: int, first: int, stop: int, target: memoryview) -> None:
        """Fill memory with the stored bytes of some units of an example.

        Args:
            first: The first unit, an index into `bounds`.
            stop: The end of the units, an index into `bounds`.
            target: A contiguous view of format 'B' of just their bytes.

        Raises:
            InputError: If a unit is damaged, naming file, block, bytes, example and tokens, or the disk fails.
        """
        assert 0 <= example < self._n_examples, (example, self._n_examples)
        assert 0 <= first < stop <= self._n_units, (first, stop, self._n_units)
        start = self._starts[first]
        n_bytes = self._starts[stop] - start
        assert len(target) == n_bytes, (len(target), n_bytes)
        files = self._files
        assert files is not None, "closed"
        shard, place = divmod(example, self._per_shard)
        file = files.get(shard)
        offset = place * self._example_bytes + self._layer_start + start
        try:
            found = os.preadv(file.fd, (target,), offset)
            if found < n_bytes:
                found += read_into(file.fd, target[found:], offset + found)
        except OSError as error:
            raise self._fault(example, first, stop, fault_text(error)) from error
        if found < n_bytes:
            raise self._fault(example, first, stop, f"is damaged: the file ends at byte {offset + found}")
        if self._hashes is not None:
            self._verify(example, first, stop, target)

    def _verify(self, example: int, first: int, stop: int, units: memoryview) -> None:
        assert self._hashes is not None
        start = example * self._n_units
        starts, digest = self._starts, xxhash.xxh3_64_intdigest
        origin = starts[first]
        for unit, expected in enumerate(self._hashes[start + first : start + stop].tolist(), first):
            found = digest(units[starts[unit] - origin : starts[unit + 1] - origin])
            if found != expected:
                raise self._damage(example, unit, found, expected)

    def read_many(self, examples: Ints, first: Ints, stop: Ints, target: Bytes) -> None:
        """Fill memory with the stored bytes of units of many examples, one run of units after the other.

        Args:
            first: The first unit of each.
            stop: The end of the units of each.
            target: Contiguous writeable uint8 memory of just their bytes.

        Raises:
            InputError: As `read`.
        """
        files = self._files
        assert files is not None, "closed"
        starts = np.asarray(self._starts, dtype=np.int64)
        lengths = starts[stop] - starts[first]
        places = np.cumsum(lengths) - lengths
        assert target.flags.carray and target.nbytes == lengths.sum(), (target.flags, target.nbytes, lengths.sum())
        shards, inside = np.divmod(examples, self._per_shard)
        numbers, which = np.unique(shards, return_inverse=True)
        opened = [files.get(int(number)) for number in numbers]  # kept open by this list
        offsets = inside * self._example_bytes + self._layer_start + starts[first]
        found = read_all(np.asarray([file.fd for file in opened])[which], offsets, target.ctypes.data + places, lengths)
        memory = target.reshape(-1).data
        whole = found == lengths
        if self._hashes is not None:
            whole &= self._fit(examples, first, stop, places, memory)
        for i in np.flatnonzero(~whole).tolist():  # once more alone: the error says what is wrong
            part = memory[places[i] : places[i] + lengths[i]]
            self.read(int(examples[i]), int(first[i]), int(stop[i]), part)

    def _fit(self, examples: Ints, first: Ints, stop: Ints, places: Ints, memory: memoryview) -> NDArray[np.bool_]:
        """Which runs of units in memory fit their hashes."""
        assert self._hashes is not None
        run, unit = numbered_ranges(first, stop - first)
        starts = np.asarray(self._starts, dtype=np.int64)
        begin = places[run] + starts[unit] - starts[first[run]]
        expected = self._hashes[examples[run] * self._n_units + unit].tolist()
        spans = zip(begin.tolist(), (begin + starts[unit + 1] - starts[unit]).tolist(), strict=True)
        digest = xxhash.xxh3_64_intdigest
        wrong = [i for i, (low, high) in enumerate(spans) if digest(memory[low:high]) != expected[i]]
        fits = np.ones(len(examples), dtype=np.bool_)
        fits[run[wrong]] = False
        return fits

    def close(self) -> None:
        """Close all files, those that a thread is reading after its read; nothing can be read any more."""
        self._files = None

    def _damage(self, example: int, unit: int, found: int, expected: int) -> InputError:
        """The fault of a unit that does not fit its hash: its own, or that of the file of hashes."""
        text = f"is damaged: its xxh3-64 is {found:016x}, {UNITS_FILE} says {expected:016x}"
        name, begin, end = self._place(example, unit, unit + 1)
        again = memoryview(bytearray(end - begin))
        try:
            read_span(self._directory.path, name, self._directory.manifest.files[name], begin, again)
        except (BlockError, InputError):
            return self._fault(example, unit, unit + 1, text)
        if xxhash.xxh3_64_intdigest(again) == expected:  # A fault that came and went is one of these bytes, too.
            return self._fault(example, unit, unit + 1, text)
        text, place = f"is damaged or of another directory: {name} fits the manifest", example * self._n_units + unit
        return self._located(UNITS_FILE, HASH_BYTES * place, HASH_BYTES * (place + 1), f"example {example}", text)

    def _place(self, example: int, first: int, stop: int) -> tuple[str, int, int]:
        """The file of some units, and their first byte and end there."""
        shard, place = divmod(example, self._per_shard)
        offset = place * self._example_bytes + self._layer_start
        name = self._directory.layout.file_name(shard)
        return name, offset + self._starts[first], offset + self._starts[stop]

    def _fault(self, example: int, first: int, stop: int, text: str) -> InputError:
        name, begin, end = self._place(example, first, stop)
        tokens = f"tokens {self.bounds[first]} to {self.bounds[stop]}"
        return self._located(name, begin, end, f"example {example}, {tokens}", text)

    def _located(self, name: str, begin: int, end: int, what: str, text: str) -> InputError:
        blocks = blocks_touched(begin, end)
        several = f"blocks {blocks[0]} to {blocks[-1]}" if len(blocks) > 1 else f"block {blocks[0]}"
        where = f"{self._directory.path / name}: {several} (bytes {begin} to {end}, {what})"
        return InputError(f"{where} {text}: {_ADVICE}")


def _read_hashes(directory: ShardDirectory) -> NDArray[np.uint64] | None:
    """The hashes of all units, one example after the other; None where there are none."""
    if not directory.manifest.has_hashes:
        return None
    n_bytes = directory.manifest.files[UNITS_FILE].n_bytes
    hashes = np.empty(n_bytes // HASH_BYTES, dtype=np.uint64)
    read_whole(directory.path, UNITS_FILE, hashes.view(np.uint8).data)
    return hashes
