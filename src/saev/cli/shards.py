"""`saev shards`: look at recorded activations."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from saev.byte_text import byte_text
from saev.cli.parsing import typed
from saev.errors import printable, tell
from saev.progress import progress_bar
from saev.shards.format.layout import TokenKind
from saev.shards.reading.describe import describe
from saev.shards.reading.original import is_original
from saev.shards.reading.verify import Progress, default_threads, faults
from saev.shards.writing import repair as repairing
from saev.shards.writing import unfinished as leftovers
from saev.threads import check_threads

if TYPE_CHECKING:
    from saev.shards.loading.benchmark import Benchmark

NO_CHECKSUMS = ": sizes and descriptions fit; the original saev stores no checksums, so contents were not checked"
SECONDS_TO_TRUST = 1.0
_THREADS = default_threads()


def info(directory: Path) -> int:
    """Print model, layer, tokens, dtype, source and what the activations cost to store.

    Args:
        directory: a directory that `saev predict` printed, or one of the original saev
    """
    print(describe(directory))
    return 0


def verify(directory: Path, *, threads: int = _THREADS) -> int:
    """Verify sizes and hashes of all files.

    Prints one line for each fault, with exit status 1, or OK, with 0.

    Args:
        directory: a directory that `saev predict` printed, or one of the original saev
        threads: files looked at at once; by default one for each core, at most 8
    """
    check_threads("--threads", threads)
    with _bytes_verified(directory) as show:
        found = faults(directory, show, threads)
    for fault in found:
        print(printable(fault))
    if not found:
        print(f"OK {printable(str(directory))}{NO_CHECKSUMS if is_original(directory) else ''}")
    return 1 if found else 0


def repair(directory: Path, *, threads: int = _THREADS) -> int:
    """Let damaged shards be recorded again.

    All sizes and hashes are verified, and the damaged shards are taken out: the directory becomes an unfinished
    recording, and the `saev predict` command that recorded it deletes those shards and records them alone. Its pictures
    must still be there.

    Args:
        directory: a directory that `saev predict` printed
        threads: files looked at at once; by default one for each core, at most 8
    """
    check_threads("--threads", threads)
    with _bytes_verified(directory) as show:
        place, found = repairing.repair(directory, show, threads)
    if place is None:
        print(f"{printable(str(directory))}: is whole: there is nothing to repair")
        return 0
    for fault in found:
        print(printable(fault))
    n, path = place.layout.n_shards, printable(str(place.path))
    print(f"{path}: {n - len(place.missing())} of {n} shards stay: run its `saev predict` again")
    return 0


def bench(
    directory: Path,
    *,
    tokens: TokenKind = "content",
    batch_size: int = 16_384,
    buffer_gib: float | None = None,
    threads: int = 4,
    seconds: float = 20.0,
    seed: int = 0,
    layer: int | None = None,
) -> int:
    """Measure how fast training batches come.

    Shuffled batches are taken as `saev fit` does, but as fast as they come, and what the disk and this plan reach is
    printed: tokens/s, GB/s, how many images and positions a batch mixes, and memory. Files that lie in the page cache
    come with the speed of memory: what the disk reaches shows after a restart.

    Args:
        directory: a directory that `saev predict` printed, or one of the original saev
        tokens: which tokens of each image
        batch_size: tokens of a batch
        buffer_gib: memory in GiB; by default 40 % of what is available
        threads: threads that read
        seconds: how long; one pass over the data at the most
        seed: fixes the order
        layer: which layer, where a directory of the original saev holds several
    """
    # Here and not above: the other commands of `saev shards` answer without torch.
    from saev.shards.loading.benchmark import bench as measured

    found = measured(
        directory, tokens=tokens, batch_size=batch_size, buffer_gib=buffer_gib, threads=threads, seconds=seconds,
        seed=seed, layer=layer,
    )  # fmt: skip
    for name, value in _lines(found).items():
        print(f"{name + ':':<22} {value}")
    if found.seconds < SECONDS_TO_TRUST:
        advice = "give more --seconds, a smaller --batch_size or a larger directory"
        tell(f"this was too short for a speed to trust: {advice}")
    return 0


def unfinished(root: Path, *, print0: bool = False) -> int:
    """List unfinished recordings.

    Of each one: path, whole shards, disk space, and whether a run is at work there. The same `saev predict` command
    goes on with one; `rm -r` gives its space back.

    Args:
        root: a directory given to `saev predict --writer.dump_to`
        print0: only the paths of those that lack shards and that no run is at work at, each followed by a NUL, for
            `xargs -0 rm -r`
    """
    for found in leftovers.unfinished(root):
        if not print0:
            state = "a run is at work" if found.is_in_use else "no run is at work"
            shards = f"{found.n_whole} of {found.n_shards} shards"
            print(f"{printable(str(found.path))}\t{shards}\t{byte_text(found.n_bytes)}\t{state}")
        elif found.is_removable:
            print(found.path, end="\0")
    return 0


COMMANDS: Final[dict[str, typed.Command]] = {
    "info": info,
    "verify": verify,
    "repair": repair,
    "bench": bench,
    "unfinished": unfinished,
}


def main(argv: list[str]) -> int:
    """Run `saev shards ARGV` and return the exit status."""
    return typed.run_one_of(COMMANDS, argv, "saev shards", "Look at a directory of recorded activations.")


@contextlib.contextmanager
def _bytes_verified(directory: Path) -> Iterator[Progress]:
    """A progress bar."""
    with progress_bar(desc=f"verify {printable(directory.name)}", unit="B", unit_scale=True, unit_divisor=1000) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def _lines(found: "Benchmark") -> dict[str, str]:
    rate = found.n_tokens / found.seconds if found.seconds else 0.0
    gb = rate * found.n_bytes / found.n_tokens / 1e9 if found.n_tokens else 0.0
    memory = (
        "unknown" if found.memory is None else f"{byte_text(found.memory)} ({found.memory / found.buffer_bytes:.0%})"
    )
    return {
        "plan": "; ".join(found.plan),
        "first batch": f"after {found.first_seconds:.2f} s",
        "after that": f"{rate:,.0f} tokens/s, {gb:.2f} GB/s over {found.seconds:.1f} s and {found.n_batches} batches",
        "images in a batch": _compared(found.images, found.uniform_images),
        "positions in a batch": _compared(found.positions, found.uniform_positions),
        "memory": f"{memory} of the buffer of {byte_text(found.buffer_bytes)}",
    }


def _compared(found: float, uniform: float) -> str:
    return f"{found:,.0f}, {found / uniform:.0%} of the {uniform:,.0f} that independent draws would give"
