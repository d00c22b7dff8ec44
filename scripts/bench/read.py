"""Reading shards with verification over reading them without, from the page cache.

Both read the same files, in turn, in one process; the median of the ratios of neighbours is printed, for

- `ShardReader.read`, into new memory: what every user of shards does;
- the reads of evaluation, which pick the patches and turn them into float32;
- `read_span` into memory that is in use already, the hardest comparison.

Without verification means: as if the directory had no hashes, like those of the original saev.

    python scripts/bench/read.py --gb 1 --rounds 9
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from shards_on_disk import write

from saev.shards.format.dtypes import tensor_bytes
from saev.shards.format.hashing import UNITS_FILE
from saev.shards.reading.block_reads import read_span, read_unverified
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

Work = Callable[[ShardReader], None]


def unverified(reader: ShardReader) -> ShardReader:
    """The same directory, as if it had no hashes."""
    manifest = reader.manifest
    files = {name: file for name, file in manifest.files.items() if name != UNITS_FILE}
    return replace(reader, manifest=replace(manifest, files=files))


def sequential(reader: ShardReader, mib: int) -> None:
    n = max(1, mib * 2**20 // reader.layout.bytes_per_example)
    for start in range(0, reader.n_examples, n):
        reader.read(start, min(start + n, reader.n_examples))


def as_evaluation(reader: ShardReader) -> None:
    selection = TokenSelection.of([reader], np.arange(reader.n_examples), "content")
    for _ in selection.read(selection.examples):
        pass


def into_warm_memory(reader: ShardReader, buffer: memoryview) -> None:
    layout = reader.layout
    for shard in range(layout.n_shards):
        name = layout.file_name(shard)
        for start in range(0, layout.bytes_per_shard, len(buffer)):
            part = buffer[: layout.bytes_per_shard - start]
            if reader.manifest.has_hashes:
                read_span(reader.path, name, reader.manifest.files[name], start, part)
            else:
                read_unverified(reader.path, name, [(start, len(part))], part)


def seconds(work: Work, reader: ShardReader) -> float:
    start = time.perf_counter()
    work(reader)
    return time.perf_counter() - start


def compare(name: str, work: Work, reader: ShardReader, rounds: int) -> None:
    others = unverified(reader)
    work(reader)  # The page cache and the memory are warm from here on.
    pairs = [(seconds(work, reader), seconds(work, others)) for _ in range(rounds)]
    gb = reader.layout.total_bytes / 1e9
    verified, plain = (gb / statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:>20}: {verified:6.2f} GB/s verified, {plain:6.2f} GB/s not, time ratio {ratio:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=1.0)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--read_mib", type=int, default=64, help="bytes of one read")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--root", type=Path, help="where to write the shards for a while")
    options = parser.parse_args()
    buffer = tensor_bytes(torch.zeros(options.read_mib * 2**20, dtype=torch.uint8))
    with tempfile.TemporaryDirectory(dir=options.root) as root:
        reader = open_shards(write(Path(root), options.gb, options.dtype))
        compare("ShardReader.read", lambda r: sequential(r, options.read_mib), reader, options.rounds)
        compare("evaluation's reads", as_evaluation, reader, options.rounds)
        compare("warm memory", lambda r: into_warm_memory(r, buffer), reader, options.rounds)


if __name__ == "__main__":
    main()
