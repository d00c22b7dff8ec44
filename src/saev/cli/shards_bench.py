"""`saev shards bench`: what training batches from a directory reach on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace
from tqdm import tqdm

from saev.byte_text import byte_text
from saev.errors import InputError, printable, tell
from saev.free_memory import BUFFER_SHARE, free_memory
from saev.shards.format.layout import TokenKind
from saev.threads import check_threads

if TYPE_CHECKING:
    from saev.shards.loading.benchmark import Benchmark
    from saev.shards.loading.shuffled import ShuffledTokens

SECONDS_TO_TRUST = 1.0


def parser() -> ArgumentParser:
    """The arguments after `saev shards bench`."""
    bench = ArgumentParser(
        description="Take shuffled training batches as `saev fit` does, but as fast as they come, and print what the "
        "disk and this plan reach: tokens/s, GB/s, how many images and positions a batch mixes, and memory. Files that "
        "lie in the page cache come with the speed of memory: what the disk reaches shows after a restart."
    )
    bench.add_argument("directory", type=Path, help="a directory that `saev predict` printed, or an original saev's")
    bench.add_argument("--tokens", type=TokenKind, default="content", help="which tokens: content, cls, registers, all")
    bench.add_argument("--batch_size", type=int, default=16_384, help="tokens of a batch")
    bench.add_argument(
        "--buffer_gib", type=float | None, default=None, help="memory in GiB; by default 40 % of what is available"
    )
    bench.add_argument("--threads", type=int, default=4, help="threads that read")
    bench.add_argument("--seconds", type=float, default=20.0, help="how long; one pass over the data at the most")
    bench.add_argument("--seed", type=int, default=0, help="fixes the order")
    bench.add_argument("--layer", type=int | None, default=None, help="which layer, for an original saev's directory")
    return bench


def run(options: Namespace) -> int:
    """Measure and print.

    Raises:
        InputError: For a directory that cannot be read, and numbers that make no sense.
    """
    # Here and not above: the other commands of `saev shards` answer without torch.
    import numpy as np

    from saev.shards.loading.benchmark import benchmark
    from saev.shards.loading.shuffled import DataSet, ShuffledTokens
    from saev.shards.reading.open import open_shards
    from saev.shards.tokens import TokenSelection

    for name in ("batch_size", "seconds", "buffer_gib"):
        if options[name] is not None and options[name] <= 0:
            raise InputError(f"--{name} {options[name]} must be above 0")
    if options.seed < 0:
        raise InputError(f"--seed {options.seed} must be 0 or more")
    check_threads("--threads", options.threads)
    reader = open_shards(options.directory, options.layer)
    tokens = TokenSelection.of([reader], np.arange(reader.n_examples), options.tokens)
    n_batches = tokens.n_tokens // options.batch_size
    if not n_batches:
        raise InputError(
            f"--batch_size {options.batch_size} is more than the {tokens.n_tokens} tokens: give a smaller one"
        )
    buffer = int(options.buffer_gib * 2**30) if options.buffer_gib else int(free_memory()[0] * BUFFER_SHARE)
    batches = ShuffledTokens(
        [DataSet(tokens, options.batch_size)],
        n_batches=n_batches,
        buffer_bytes=buffer,
        seed=options.seed,
        n_threads=options.threads,
    )
    with tqdm(total=n_batches, desc=f"bench {printable(options.directory.name)}", unit=" batches") as bar:
        found = benchmark(tokens, batches, options.seconds, bar.update)
    for name, value in _lines(found, batches, buffer).items():
        print(f"{name + ':':<22} {value}")
    if found.seconds < SECONDS_TO_TRUST:
        advice = "give more --seconds, a smaller --batch_size or a larger directory"
        tell(f"this was too short for a speed to trust: {advice}")
    return 0


def _lines(found: "Benchmark", batches: "ShuffledTokens", buffer: int) -> dict[str, str]:
    rate = found.n_tokens / found.seconds if found.seconds else 0.0
    gb = rate * found.n_bytes / found.n_tokens / 1e9 if found.n_tokens else 0.0
    memory = "unknown" if found.memory is None else f"{byte_text(found.memory)} ({found.memory / buffer:.0%})"
    return {
        "plan": "; ".join(batches.describe()),
        "first batch": f"after {found.first_seconds:.2f} s",
        "after that": f"{rate:,.0f} tokens/s, {gb:.2f} GB/s over {found.seconds:.1f} s and {found.n_batches} batches",
        "images in a batch": _compared(found.images, found.uniform_images),
        "positions in a batch": _compared(found.positions, found.uniform_positions),
        "memory": f"{memory} of the buffer of {byte_text(buffer)}",
    }


def _compared(found: float, uniform: float) -> str:
    return f"{found:,.0f}, {found / uniform:.0%} of the {uniform:,.0f} that independent draws would give"
