"""Looks at every byte of a directory of shards and lists what is wrong."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from saev.errors import InputError
from saev.shards.format.manifest import MANIFEST_FILE, SHARDS_FILE, Manifest
from saev.shards.format.metadata import METADATA_FILE, Metadata
from saev.shards.reading.content_faults import content_faults
from saev.shards.reading.directory import check_is_finished, check_shard_list, size_fault
from saev.shards.reading.original import OriginalShards, is_original
from saev.shards.reading.progress import Progress, SharedProgress

MAX_DEFAULT_THREADS: Final = 8


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
        InputError: if there is no finished directory of shards to look at.
    """
    check_is_finished(directory)
    try:
        if is_original(directory):
            return _original_faults(OriginalShards.describe(directory))
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


def _original_faults(shards: OriginalShards) -> list[str]:
    return [*(f"{path}: {shards.stray_text()}" for path in shards.stray_files()), *shards.size_faults()]


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
    shared = SharedProgress(sum(manifest.files[name].n_bytes for name in names), progress)

    def look(name: str) -> list[str]:
        n_bytes = manifest.files[name].n_bytes
        fault = size_fault(directory, name, n_bytes)
        if fault is None:
            return content_faults(directory, name, manifest, shared.add)
        shared.add(n_bytes)
        return [fault]

    with ThreadPoolExecutor(threads, "verify") as pool:
        try:
            return dict(zip(names, pool.map(look, names), strict=True))
        finally:
            shared.stop()  # Whoever interrupts this must not wait for gigabytes.
