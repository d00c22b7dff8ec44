"""What is wrong with the content of a file, in words."""

from collections.abc import Callable, Iterable
from pathlib import Path

from saev.errors import InputError
from saev.shards.format.blocks import block_span
from saev.shards.format.files import fault_text, opened
from saev.shards.format.hashing import FileRecord, hash_file
from saev.shards.format.layout import ACTS_FILE, ShardLayout
from saev.shards.format.manifest import Manifest


def content_faults(directory: Path, name: str, manifest: Manifest, advance: Callable[[int], None]) -> list[str]:
    """Compare a file with its hashes: no line if it is whole, otherwise one for each run of damaged blocks.

    Args:
        directory: where the file lies.
        name: its name in the manifest.
        manifest: the hashes of all files; a file may hold the content of another one.
        advance: hears the number of bytes of each piece that has been looked at.
    """
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
