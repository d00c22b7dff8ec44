"""What training batches from a directory reach on this machine: speed, mixing and memory."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np

from saev.errors import InputError, printable
from saev.free_memory import BUFFER_SHARE, free_memory
from saev.progress import progress_bar
from saev.shards.format.layout import TokenKind
from saev.shards.loading.shuffled import DataSet, ShuffledTokens
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection
from saev.threads import check_threads

_LOOKED_AT = 5  # batches whose mixture is looked at


@final
@dataclass(frozen=True)
class Benchmark:
    """What was measured."""

    plan: Sequence[str]  # How the batches are made, one fact a line.
    buffer_bytes: int  # Memory that they may take.
    n_batches: int  # Batches given out.
    first_seconds: float  # Until the first one.
    seconds: float  # From the first one to the last.
    n_tokens: int  # Tokens of the batches after the first one.
    n_bytes: int  # Their bytes, as stored.
    images: float  # Distinct images in a batch, on average.
    uniform_images: float  # What draws of tokens that are independent would give.
    positions: float  # Distinct positions in a batch, on average.
    uniform_positions: float  # What such draws would give.
    memory: int | None  # Peak memory taken, in bytes; None where the system does not say.


def expected_distinct(n: int, draws: int) -> float:
    """Distinct values among independent uniform draws of n values: n (1 - (1 - 1/n)^draws).

    >>> round(expected_distinct(7172, 16384))
    6442
    """
    return n * (1 - (1 - 1 / n) ** draws)


def bench(
    directory: str | Path,
    *,
    tokens: TokenKind = "content",
    batch_size: int = 16_384,
    buffer_gib: float | None = None,
    threads: int = 4,
    seconds: float = 20.0,
    seed: int = 0,
    layer: int | None = None,
) -> Benchmark:
    """Take shuffled training batches from a directory for some time, as fast as they come, with a progress bar.

    Its arguments are the options of `saev shards bench`.

    Raises:
        InputError: For a directory that cannot be read or is damaged, and numbers that make no sense.
    """
    for name, number in (("batch_size", batch_size), ("seconds", seconds), ("buffer_gib", buffer_gib)):
        if number is not None and number <= 0:
            raise InputError(f"--{name} {number} must be above 0")
    if seed < 0:
        raise InputError(f"--seed {seed} must be 0 or more")
    check_threads("--threads", threads)
    reader = open_shards(directory, layer)
    chosen = TokenSelection.of([reader], np.arange(reader.n_examples), tokens)
    n_batches = chosen.n_tokens // batch_size
    if not n_batches:
        raise InputError(f"--batch_size {batch_size} is more than the {chosen.n_tokens} tokens: give a smaller one")
    buffer = int(buffer_gib * 2**30) if buffer_gib else int(free_memory()[0] * BUFFER_SHARE)
    batches = ShuffledTokens(
        [DataSet(chosen, batch_size)], n_batches=n_batches, buffer_bytes=buffer, seed=seed, n_threads=threads
    )
    with progress_bar(total=n_batches, desc=f"bench {printable(Path(directory).name)}", unit=" batches") as bar:
        return benchmark(chosen, batches, seconds, bar.update)


def benchmark(
    tokens: TokenSelection, batches: ShuffledTokens, seconds: float, progress: Callable[[], object]
) -> Benchmark:
    """Take batches for some time, as fast as they come.

    Args:
        seconds: When to stop; one pass at the most.
        progress: Called after every batch.

    Raises:
        InputError: For damaged or unreadable bytes.
    """
    before = _resident("VmRSS") if _forget_peak() else None
    start = time.perf_counter()
    first_seconds = now = 0.0
    n = 0
    for _ in batches:
        n += 1
        now = time.perf_counter() - start
        first_seconds = first_seconds or now
        progress()
        if now > seconds:
            break
    # Memory that is given back meanwhile may outweigh what is taken.
    memory = None if before is None else max(0, _resident("VmHWM") - before)
    n_tokens = (n - 1) * batches.batch_size
    images, positions = _mixture(batches, n)
    return Benchmark(
        plan=batches.describe(),
        buffer_bytes=batches.buffer_bytes,
        n_batches=n,
        first_seconds=first_seconds,
        seconds=now - first_seconds,
        n_tokens=n_tokens,
        n_bytes=n_tokens * tokens.token_bytes,
        images=images,
        uniform_images=expected_distinct(len(tokens.examples), batches.batch_size),
        positions=positions,
        uniform_positions=expected_distinct(len(tokens.positions), batches.batch_size),
        memory=memory,
    )


def _mixture(batches: ShuffledTokens, n: int) -> tuple[float, float]:
    """Distinct images and positions in a batch: means over some of the first n."""
    some = sorted({int(number) for number in np.linspace(0, n - 1, _LOOKED_AT)})
    contents = [parts[0] for parts in batches.contents(some)]
    images, positions = (np.mean([len(np.unique(batch[i])) for batch in contents]) for i in (0, 1))
    return float(images), float(positions)


def _forget_peak() -> bool:
    """Let the peak of this process's memory begin anew; whether that is possible."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _resident(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))
