"""Looks at every byte of a directory of shards and lists what is wrong."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from saev.errors import InputError
from saev.shards.format.files import fault_text, opened
from saev.shards.format.hashing import FileRecord, block_span, hash_file
from saev.shards.format.layout import ACTS_FILE, ShardLayout
from saev.shards.format.manifest import MANIFEST_FILE, SHARDS_FILE, Manifest
from saev.shards.format.metadata import METADATA_FILE, Metadata
from saev.shards.reading.directory import check_is_finished, check_shard_list, size_fault
from saev.shards.reading.original import OriginalShards, is_original

MAX_DEFAULT_THREADS: Final = 8
Progress = Callable[[int, int], None]
"""Called with the bytes done so far and in all."""


def default_threads() -> int:
    """One for each processor core that we may use, at most eight."""
    return min(len(os.sched_getaffinity(0)), MAX_DEFAULT_THREADS)


def _silent(done: int, total: int) -> None:
    """No progress is shown."""


def faults(directory: Path, progress: Progress = _silent, threads: int = 1) -> list[str]:
    """What is wrong with a directory, one line for each fault; empty if it is whole.

    Checks that metadata, manifest and shards.json agree, that the content id fits the directory's name, that
    no stray activation files lie there, and the size and SHA-256 of every file. The original saev stores no hashes:
    of its directories the descriptions and sizes are checked. Each thread looks at one file at a time and takes one
    block of memory, 4 MiB; the lines are the same, in the same order, for any number of threads.

    Raises:
        InputError: If there is no finished directory of shards to look at.
    """
    check_is_finished(directory)
    try:
        if is_original(directory):
            original = OriginalShards.describe(directory)
            strays = [f"{path}: {original.stray_text()}" for path in original.stray_files()]
            return [*strays, *original.size_faults()]
        manifest = Manifest.read(directory)
    except InputError as error:
        return [str(error)]
    contradictions = dict(_contradictions(directory, manifest))
    names = [name for name in manifest.files if name not in contradictions]
    found = file_faults(directory, manifest, names, progress, threads)
    return [
        *_name_faults(directory, manifest),
        *contradictions.values(),
        *(fault for faults in found.values() for fault in faults),
    ]


def _name_faults(directory: Path, manifest: Manifest) -> Iterator[str]:
    """The directory's own name, and files that do not belong there."""
    expected = manifest.recording.directory_name
    found = directory.resolve().name
    if not found.endswith(expected[-13:]):
        yield f"{directory}: the directory is named {found}, its content is {expected}: give it that name again"
    for path in sorted(directory.iterdir()):
        if path.name.startswith("acts") and path.name not in manifest.files:
            yield f"{path}: a stray file of activations that {MANIFEST_FILE} does not list: move it away"


def _contradictions(directory: Path, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """The other descriptions that are not what the manifest says, and why."""
    where = str(directory / METADATA_FILE)
    checks: dict[str, Callable[[], None]] = {
        METADATA_FILE: lambda: Metadata.read(directory).check_against(manifest.recording, where),
        SHARDS_FILE: lambda: check_shard_list(directory, manifest.layout),
    }
    for name, check in checks.items():
        try:
            check()
        except InputError as error:
            size = size_fault(directory, name, manifest.files[name].n_bytes)
            also = f" ({size.removeprefix(f'{directory / name}: ')})" if size and size != str(error) else ""
            yield name, f"{error}{also}"


def file_faults(
    directory: Path, manifest: Manifest, names: list[str], progress: Progress, threads: int
) -> dict[str, list[str]]:
    """What is wrong with the size or content of some files, by name."""
    total, done, is_stopped, lock = sum(manifest.files[name].n_bytes for name in names), 0, False, threading.Lock()

    def advance(n_bytes: int) -> None:
        nonlocal done
        with lock:
            if is_stopped:
                raise _StoppedError
            done += n_bytes
            progress(done, total)

    def look(name: str) -> list[str]:
        n_bytes = manifest.files[name].n_bytes
        fault = size_fault(directory, name, n_bytes)
        if fault is None:
            return _content_faults(directory, name, manifest, advance)
        advance(n_bytes)
        return [fault]

    with ThreadPoolExecutor(threads, "verify") as pool:
        try:
            return dict(zip(names, pool.map(look, names), strict=True))
        finally:
            is_stopped = True  # An interrupt must not wait for gigabytes.


def _content_faults(directory: Path, name: str, manifest: Manifest, advance: Callable[[int], None]) -> list[str]:
    """Compare a file with its hashes: no line if it is whole, otherwise one for each run of damaged blocks."""
    path, expected = directory / name, manifest.files[name]
    try:
        with opened(directory, name) as fd:
            found = hash_file(fd, advance)
    except InputError as error:
        return [str(error)]
    except OSError as error:
        return [f"{path}: {fault_text(error)}"]
    if found == expected:
        return []
    return [f"{path}: {text}" for text in _differences(name, found, expected, manifest)]


def _differences(name: str, found: FileRecord, expected: FileRecord, manifest: Manifest) -> list[str]:
    if found.n_bytes != expected.n_bytes:
        return [f"changed while it was read: {found.n_bytes} bytes instead of {expected.n_bytes}: try again"]
    twins = [other for other, file in manifest.files.items() if other != name and file.sha256 == found.sha256]
    if twins:
        return [f"holds the content of {twins[0]}: give the files their names again"]
    wrong = [i for i, (a, b) in enumerate(zip(found.blocks, expected.blocks, strict=True)) if a != b]
    if not wrong:
        return [f"SHA-256 is {found.sha256}, the manifest says {expected.sha256}: copy it again"]
    what = "damaged" if ACTS_FILE.fullmatch(name) else "damaged or edited"
    return [f"{_place(name, first, last, expected.n_bytes, manifest.layout)} {what}" for first, last in _runs(wrong)]


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _place(name: str, first: int, last: int, n_bytes: int, layout: ShardLayout) -> str:
    """The words for a run of blocks."""
    blocks = f"block {first}" if first == last else f"blocks {first} to {last}"
    start, stop = block_span(first, n_bytes)[0], block_span(last, n_bytes)[1]
    if not ACTS_FILE.fullmatch(name):
        return f"{blocks} (bytes {start} to {stop})"
    shard = int(name.removeprefix("acts").removesuffix(".bin"))
    examples = layout.examples_in_span(shard, start, stop)
    return f"{blocks} (bytes {start} to {stop}, examples {examples.start} to {examples.stop})"


class _StoppedError(Exception):
    """The work is not wanted any more."""
