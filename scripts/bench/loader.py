"""How fast training batches come, what they mix and what memory they take, beside plain sequential reading.

    python scripts/bench/loader.py --gb 4.4 --dtype float32 --root DIR_ON_THE_DISK_IN_QUESTION

prints, one line a round and then medians,

- cached: all in the page cache and in the buffer; tokens/s after everything has been read, over those of reading the
  files into memory in use (4 MiB, and as much as three batches take), and the time to the first batch;
- cold: a buffer of an eighth of the data and empty caches (needs root); the time of a whole epoch, the start included,
  under that of a cold sequential read; and the same with the files in the page cache;
- memory: the peak of a process above what it had before, over its buffer;
- mixing, of whole epochs: distinct images in a batch over what independent draws give, positions that a batch lacks,
  and the variance of the batch mean over that of independent draws;
- feeding: training steps of a TopK SAE (768, 4,096 latents, 4,096 tokens) on the CPU, with batches of the loader over
  those with a batch in memory.

Checksums are verified throughout. Memory is touched before it is measured how fast it is filled.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from shards_on_disk import write

from saev.nn import TopK
from saev.shards.loading.shuffled import DataSet, ShuffledTokens
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection
from saev.training import AuxK, step_losses

READ_BYTES = 4 * 2**20
FEEDING_BATCH, FEEDING_STEPS = 4096, 22


def drop_caches() -> None:
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def touch(n_bytes: int) -> None:
    """Take memory and give it back: what a virtual machine gets from its host for the first time comes slowly."""
    np.empty(n_bytes, dtype=np.uint8)[:: 2**12] = 1


def fresh_memory() -> float:
    """Bytes a second of memory that is taken now."""
    start = time.perf_counter()
    touch(2**30)
    return 2**30 / (time.perf_counter() - start)


def sequential(directory: Path, n_bytes: int = READ_BYTES) -> float:
    """Seconds to read all activations into the same memory of so many bytes again and again."""
    buffer = np.ones(n_bytes, dtype=np.uint8).data
    start = time.perf_counter()
    for path in sorted(directory.glob("acts*.bin")):
        fd = os.open(path, os.O_RDONLY)
        place = 0
        while n := os.preadv(fd, [buffer], place):
            place += n
        os.close(fd)
    return time.perf_counter() - start


def loader(options: argparse.Namespace, buffer_bytes: int, n_epochs: int = 1) -> ShuffledTokens:
    reader = open_shards(options.directory)
    tokens = TokenSelection.of([reader], np.arange(reader.n_examples), "content")
    return ShuffledTokens(
        [DataSet(tokens, options.batch_size)],
        n_batches=n_epochs * tokens.n_tokens // options.batch_size,
        buffer_bytes=buffer_bytes,
        seed=0,
        n_threads=options.threads,
    )


def cached(options: argparse.Namespace) -> dict[str, float]:
    """Rate and first batch with everything in memory."""
    batches = loader(options, options.n_bytes * 2, n_epochs=2)
    touch(options.n_bytes)
    before = resident(reset=True)
    start = time.perf_counter()
    rest = iter(batches)
    next(rest)
    first = time.perf_counter() - start
    start = time.perf_counter()
    n = sum(len(batch) for batch in rest)
    rate = n / (time.perf_counter() - start)
    memory = resident() - before
    return {"first batch s": first, "tokens/s": rate, "memory GB": memory / 1e9}


def streamed(options: argparse.Namespace) -> dict[str, float]:
    """One epoch through a small buffer."""
    buffer_bytes = options.n_bytes // 8
    touch(buffer_bytes)
    before = resident(reset=True)
    start = time.perf_counter()
    batches, first = iter(loader(options, buffer_bytes)), 0.0
    n = 0
    for batch in batches:
        first = first or time.perf_counter() - start
        n += len(batch)
    took = time.perf_counter() - start
    return {
        "first batch s": first,
        "epoch s": took,
        "tokens/s": n / took,
        "memory/buffer": (resident() - before) / buffer_bytes,
    }


def mixing(options: argparse.Namespace) -> dict[str, float]:
    """What the batches of an epoch hold."""
    batches = loader(options, options.n_bytes // 8)
    n_images, b = open_shards(options.directory).n_examples, options.batch_size
    everything = range(len(batches))
    contents = [parts[0] for parts in batches.contents(everything)]
    uniform = n_images * (1 - (1 - 1 / n_images) ** b)
    distinct = [len(np.unique(example)) / uniform for example, _ in contents]
    positions = [len(np.unique(ordinal)) for _, ordinal in contents]
    means = torch.stack([batch.double().mean(0) for batch in batches])
    total = squares = torch.zeros((), dtype=torch.float64)
    for batch in loader(options, options.n_bytes // 8):
        x = batch.double()
        total, squares = total + x.sum(0), squares + (x**2).sum()
    n = len(batches) * b
    variance = squares / n - (total / n).square().sum()
    of_means = (means - total / n).square().sum(1).mean()
    return {
        "distinct images": statistics.mean(distinct),
        "fewest": min(distinct),
        "missing positions": float(196 - min(positions)),
        "variance of the mean": float(of_means * b / variance),
    }


def feeding(options: argparse.Namespace) -> dict[str, float]:
    """Training steps of a TopK SAE on the CPU: time with batches of the loader over time with batches in memory."""
    options.batch_size = FEEDING_BATCH
    batches = iter(loader(options, options.n_bytes // 8))
    sae = TopK(768, d_sae=4096, k=32)
    optimizer = torch.optim.Adam(sae.parameters())
    nothing_dead = torch.arange(0)

    def step(next_batch: Callable[[], torch.Tensor]) -> float:
        start = time.perf_counter()
        losses = step_losses(sae, next_batch().float(), nothing_dead, AuxK(0.0, 1))
        optimizer.zero_grad()
        torch.autograd.backward(losses.total)
        optimizer.step()
        return time.perf_counter() - start

    kept = next(batches).clone()
    pairs = [(step(lambda: next(batches)), step(lambda: kept)) for _ in range(FEEDING_STEPS)][2:]
    fed, fixed = (statistics.median(times) for times in zip(*pairs, strict=True))
    return {"step s": fixed, "fed step s": fed, "ratio": statistics.median(a / b for a, b in pairs)}


def resident(*, reset: bool = False) -> int:
    """Peak resident memory of this process in bytes; since `reset`, which gives what is resident now."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


WORKS: dict[str, Callable[[argparse.Namespace], dict[str, float]]] = {
    "cached": cached,
    "streamed": streamed,
    "mixing": mixing,
    "feeding": feeding,
}


def in_process(what: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one measurement in a process of its own, whose memory is its alone."""
    argv = [sys.executable, __file__, "--child", what, "--directory", str(options.directory)]
    argv += ["--batch_size", str(options.batch_size), "--threads", str(options.threads)]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(output)
    return found


def show(name: str, found: dict[str, float]) -> None:
    print(f"{name:>10}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True)


def compare(options: argparse.Namespace) -> None:
    rounds: dict[str, list[float]] = {}
    n_tokens = open_shards(options.directory).n_examples * 197
    for _ in range(options.rounds):
        sequential(options.directory)
        floor = n_tokens / sequential(options.directory)
        # Batches don't fit a processor's cache as the 4 MiB above do.
        batches_bytes = 3 * options.batch_size * open_shards(options.directory).layout.bytes_per_token
        memory_floor = n_tokens / sequential(options.directory, batches_bytes)
        gb = options.n_bytes * floor / n_tokens / 1e9
        found = {"tokens/s": floor, "into batches' memory": memory_floor, "GB/s": gb}
        show("floor", found | {"fresh memory GB/s": fresh_memory() / 1e9})
        found = in_process("cached", options)
        show("cached", found | {"over floor": found["tokens/s"] / floor})
        rounds.setdefault("cached over floor", []).append(found["tokens/s"] / floor)
        rounds.setdefault("over memory floor", []).append(found["tokens/s"] / memory_floor)
        rounds.setdefault("first batch s", []).append(found["first batch s"])
        found = in_process("streamed", options)
        show("streamed", found)
        if options.cold:
            drop_caches()
            seconds = sequential(options.directory)
            drop_caches()
            found = in_process("streamed", options)
            drop_caches()
            seconds = (seconds + sequential(options.directory)) / 2
            show("cold", found | {"sequential s": seconds, "speed ratio": seconds / found["epoch s"]})
            rounds.setdefault("cold over sequential", []).append(seconds / found["epoch s"])
        rounds.setdefault("memory over buffer", []).append(found["memory/buffer"])
    show("medians", {name: statistics.median(values) for name, values in rounds.items()})
    show("mixing", in_process("mixing", options))
    show("feeding", in_process("feeding", options))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gb", type=float, default=4.4)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--root", type=Path, help="where to write the shards for a while")
    parser.add_argument("--directory", type=Path, help="shards of an earlier run instead (ViT-B/16: 196 patches)")
    parser.add_argument("--batch_size", type=int, default=16_384)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", action="store_true", help="drop the page cache, which needs root")
    parser.add_argument("--child", choices=WORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.root) as root:
        options.directory = options.directory or write(Path(root), options.gb, options.dtype)
        options.n_bytes = open_shards(options.directory).layout.total_bytes
        if options.child:
            print(json.dumps(WORKS[options.child](options)))
        else:
            compare(options)


if __name__ == "__main__":
    main()
