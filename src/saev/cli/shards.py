"""`saev shards`: look at recorded activations."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from jsonargparse import ArgumentParser
from tqdm import tqdm

from saev.byte_text import byte_text
from saev.cli import shards_bench
from saev.cli.parsing.errors import parsed
from saev.errors import printable
from saev.shards.reading.describe import describe
from saev.shards.reading.original import is_original
from saev.shards.reading.verify import Progress, default_threads, faults
from saev.shards.writing.repair import repair
from saev.shards.writing.unfinished import unfinished
from saev.threads import check_threads

NO_CHECKSUMS = ": sizes and descriptions fit; the original saev stores no checksums, so contents were not checked"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="saev shards", description="Look at a directory of recorded activations.", exit_on_error=False
    )
    commands = parser.add_subcommands(required=True, dest="command")
    info = ArgumentParser(
        description="Print model, layer, tokens, dtype, source and what the activations cost to store."
    )
    info.add_argument(
        "directory", type=Path, help="a directory that `saev predict` printed, or one of the original saev"
    )
    commands.add_subcommand("info", info, help="print what was recorded")
    verify = ArgumentParser(
        description="Verify all sizes and hashes: one line for each fault and exit status 1, or OK and 0."
    )
    verify.add_argument(
        "directory", type=Path, help="a directory that `saev predict` printed, or one of the original saev"
    )
    _add_threads(verify)
    commands.add_subcommand("verify", verify, help="verify sizes and hashes of all files")
    mend = ArgumentParser(
        description="Verify all sizes and hashes, and take the damaged shards out: the directory becomes an unfinished "
        "recording, and the `saev predict` command that recorded it deletes those shards and records them alone. Its "
        "pictures must still be there."
    )
    mend.add_argument("directory", type=Path, help="a directory that `saev predict` printed")
    _add_threads(mend)
    commands.add_subcommand("repair", mend, help="let damaged shards be recorded again")
    commands.add_subcommand("bench", shards_bench.parser(), help="measure how fast training batches come")
    leftovers = ArgumentParser(
        description="List the unfinished recordings in a directory: path, whole shards, disk space, and whether a run "
        "is at work there. The same `saev predict` command goes on with one; `rm -r` gives its space back."
    )
    leftovers.add_argument("root", type=Path, help="a directory given to `saev predict --writer.dump_to`")
    leftovers.add_argument(
        "--print0",
        action="store_true",
        help="only the paths of those that lack shards and that no run is at work at, each followed by a NUL, for "
        "`xargs -0 rm -r`",
    )
    commands.add_subcommand("unfinished", leftovers, help="list unfinished recordings")
    return parser


def _info(directory: Path) -> int:
    print(describe(directory))
    return 0


def _add_threads(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--threads",
        type=int,
        default=default_threads(),
        help="files looked at at once; by default one for each core, at most 8",
    )


@contextlib.contextmanager
def _bytes_verified(directory: Path) -> Iterator[Progress]:
    """A progress bar."""
    with tqdm(desc=f"verify {printable(directory.name)}", unit="B", unit_scale=True, unit_divisor=1000) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


def _verify(directory: Path, threads: int) -> int:
    check_threads("--threads", threads)
    with _bytes_verified(directory) as show:
        found = faults(directory, show, threads)
    for fault in found:
        print(printable(fault))
    if not found:
        print(f"OK {printable(str(directory))}{NO_CHECKSUMS if is_original(directory) else ''}")
    return 1 if found else 0


def _repair(directory: Path, threads: int) -> int:
    check_threads("--threads", threads)
    with _bytes_verified(directory) as show:
        place, found = repair(directory, show, threads)
    if place is None:
        print(f"{printable(str(directory))}: is whole: there is nothing to repair")
        return 0
    for fault in found:
        print(printable(fault))
    n, path = place.layout.n_shards, printable(str(place.path))
    print(f"{path}: {n - len(place.missing())} of {n} shards stay: run its `saev predict` again")
    return 0


def _unfinished(root: Path, print0: bool) -> int:
    for found in unfinished(root):
        if not print0:
            state = "a run is at work" if found.is_in_use else "no run is at work"
            shards = f"{found.n_whole} of {found.n_shards} shards"
            print(f"{printable(str(found.path))}\t{shards}\t{byte_text(found.n_bytes)}\t{state}")
        elif found.is_removable:
            print(found.path, end="\0")
    return 0


def main(argv: list[str]) -> int:
    """Run `saev shards ARGV` and return the exit status.

    Raises:
        InputError: if the directory is not one of shards, or the arguments make no sense.
        SystemExit: for `--help` (0).
    """
    options = parsed(_parser(), argv)
    chosen = options[options.command]
    if options.command == "unfinished":
        return _unfinished(chosen.root, chosen.print0)
    if options.command == "info":
        return _info(chosen.directory)
    if options.command == "bench":
        return shards_bench.run(chosen)
    if options.command == "repair":
        return _repair(chosen.directory, chosen.threads)
    return _verify(chosen.directory, chosen.threads)
