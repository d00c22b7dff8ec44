"""Looks at every byte of a directory of shards and lists what is wrong."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from saev.errors import InputError
from saev.shards.blocks import block_span
from saev.shards.directory import check_is_finished, check_shard_list, size_fault
from saev.shards.hashing import FileRecord, hash_file
from saev.shards.layout import ACTS_FILE, ShardLayout
from saev.shards.manifest import SHARDS_FILE, Manifest
from saev.shards.metadata import METADATA_FILE, Metadata
from saev.shards.original import OriginalShards, is_original

Progress = Callable[[int, int], None]
"""Hears the bytes verified so far and in all."""


def _silent(done: int, total: int) -> None:
    """No progress is shown."""


def faults(directory: Path, progress: Progress = _silent) -> list[str]:
    """What is wrong with a directory, one line for each fault; empty if it is whole.

    Checks that metadata, manifest and shards.json agree, that the content id fits the directory's name, that
    no stray activation files lie there, and the size and SHA-256 of every file. The original saev stores no hashes:
    of its directories the descriptions and sizes are checked.

    Raises:
        InputError: if there is no finished directory of shards to look at.
    """
    check_is_finished(directory)
    try:
        if is_original(directory):
            return _original_faults(OriginalShards.describe(directory))
        manifest = Manifest.read(directory)
    except InputError as error:
        return [str(error)]
    return [*_description_faults(directory, manifest), *_file_faults(directory, manifest, progress)]


def _original_faults(shards: OriginalShards) -> list[str]:
    return [*(_stray(path, SHARDS_FILE) for path in shards.stray_files()), *shards.size_faults()]


def _stray(path: Path, description: str) -> str:
    return f"{path}: a stray file of activations that {description} does not list"


def _description_faults(directory: Path, manifest: Manifest) -> Iterator[str]:
    expected = manifest.recording.directory_name
    resolved = directory.resolve().name
    if not re.fullmatch(rf".+-{expected[-12:]}", resolved):
        yield f"{directory}: the directory is named {resolved}, its content is {expected}"
    checks: tuple[Callable[[], None], ...] = (
        lambda: Metadata.read(directory).check_against(manifest.recording, str(directory / METADATA_FILE)),
        lambda: check_shard_list(directory, manifest.layout),
    )
    for check in checks:
        try:
            check()
        except InputError as error:
            yield str(error)
    for path in sorted(directory.iterdir()):
        if ACTS_FILE.fullmatch(path.name) and path.name not in manifest.files:
            yield _stray(path, "the manifest")


def _file_faults(directory: Path, manifest: Manifest, progress: Progress) -> Iterator[str]:
    total = sum(file.n_bytes for file in manifest.files.values())
    done = 0
    for name, expected in manifest.files.items():
        fault = size_fault(directory, name, expected.n_bytes)
        if fault is not None:
            yield fault
        else:
            base = done

            def advance(n: int) -> None:
                nonlocal done
                done += n
                progress(done, total)

            yield from _content_faults(directory / name, expected, manifest, advance)
            done = base
        done += expected.n_bytes
        progress(done, total)


def _content_faults(
    path: Path, expected: FileRecord, manifest: Manifest, advance: Callable[[int], None]
) -> Iterator[str]:
    try:
        found = hash_file(path, advance)
    except OSError as error:
        yield f"{path}: cannot be read ({error.strerror})"
        return
    if found == expected:
        return
    twins = [n for n, file in manifest.files.items() if n != path.name and file.sha256 == found.sha256]
    if twins:
        yield f"{path}: holds the content of {twins[0]}"
        return
    wrong = [i for i, (a, b) in enumerate(zip(found.blocks, expected.blocks, strict=True)) if a != b]
    for first, last in _runs(wrong):
        yield f"{path}: {_place(path.name, first, last, manifest.layout)} damaged"
    if not wrong:
        yield f"{path}: SHA-256 is {found.sha256}, the manifest says {expected.sha256}"


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _place(name: str, first: int, last: int, layout: ShardLayout) -> str:
    """The words for a run of blocks."""
    blocks = f"block {first}" if first == last else f"blocks {first} to {last}"
    if not ACTS_FILE.fullmatch(name):
        return blocks
    shard = int(name.removeprefix("acts").removesuffix(".bin"))
    start, stop = block_span(first, layout.bytes_per_shard)[0], block_span(last, layout.bytes_per_shard)[1]
    examples = layout.examples_in_span(shard, start, stop)
    return f"{blocks} (bytes {start} to {stop}, examples {examples.start} to {examples.stop})"
