"""Turns a damaged directory back into an unfinished recording, so that only its damaged shards are recorded again."""

from pathlib import Path

from saev.errors import InputError
from saev.files import bring_to_disk
from saev.shards.format.examples import EXAMPLES_FILE
from saev.shards.format.files import names_in
from saev.shards.format.hashing import UNITS_FILE
from saev.shards.format.manifest import LABELS_FILE, Manifest
from saev.shards.format.shard_record import ShardFiles, ShardRecord
from saev.shards.format.strict_json import read_bytes
from saev.shards.reading.directory import GIVE, ShardDirectory
from saev.shards.reading.verify import Progress, file_faults
from saev.shards.writing.hashed_file import write_file
from saev.shards.writing.partial import PartialRecording


def repair(directory: Path, progress: Progress, threads: int) -> tuple[PartialRecording | None, list[str]]:
    """Look at every byte of a directory and make it unfinished: its whole shards stay, the damaged ones are missing.

    The `saev predict` command that recorded it then records those alone. metadata.json and shards.json are not
    looked at, they will be written anew; manifest.json, examples.jsonl, units.xxh3 and labels.bin must be whole.

    Args:
        directory: A finished directory of ours.
        progress: Called with the bytes verified so far and in all.

    Returns:
        The unfinished recording, or None where there is nothing to repair, and the faults of its missing shards.

    Raises:
        InputError: If the directory cannot be repaired, or a run is at work there; it is left as it is.
    """
    names_in(directory, GIVE)
    manifest = Manifest.read(directory)
    root = directory.resolve().parent
    place = PartialRecording(root, manifest.recording, with_labels=manifest.has_labels)
    if place.final.name != directory.resolve().name:
        raise InputError(f"{directory}: its content is {place.final.name}: give it that name again")
    shards = [ShardFiles(shard) for shard in range(manifest.layout.n_shards)]
    others = [EXAMPLES_FILE, UNITS_FILE, *([LABELS_FILE] if manifest.has_labels else [])]
    found = file_faults(directory, manifest, [*others, *(files.acts for files in shards)], progress, threads)
    for name in others:
        for fault in found.pop(name):
            raise InputError(f"{fault}: without it nothing can be kept: move the directory away and record it again")
    faults = [fault for faults in found.values() for fault in faults]
    if not faults and _is_described(directory):
        return None, []
    whole = [files for files in shards if not found[files.acts]]
    if not whole:
        raise InputError(f"{faults[0]}, and no shard is whole: move {directory} away and record it again")
    place.reopen(lambda: _write_records(directory, manifest, whole))
    return place, faults


def _is_described(directory: Path) -> bool:
    try:
        ShardDirectory.open(directory)
    except InputError:
        return False
    return True


def _write_records(directory: Path, manifest: Manifest, whole: list[ShardFiles]) -> None:
    """Write what an unfinished recording holds beside the activations of its whole shards."""
    parts = _parts(directory, manifest)
    for files in whole:
        small = {name: write_file(directory / name, data) for name, data in parts[files.shard].items()}
        record = ShardRecord(manifest.content_id, {files.acts: manifest.files[files.acts], **small})
        write_file(directory / files.record, record.dump())
    bring_to_disk(directory)


def _parts(directory: Path, manifest: Manifest) -> list[dict[str, bytes]]:
    """Each shard's parts of the examples, unit hashes and labels, by file name."""
    layout = manifest.layout
    names = (EXAMPLES_FILE, UNITS_FILE, *([LABELS_FILE] if manifest.has_labels else []))
    data = {name: read_bytes(directory / name, manifest.files[name].n_bytes) for name in names}
    lines = data[EXAMPLES_FILE].splitlines(keepends=True)
    parts = []
    for shard in range(layout.n_shards):
        files, examples = ShardFiles(shard), layout.examples_in(shard)
        part = {files.examples: b"".join(lines[examples.start : examples.stop])}
        for name, own in ((UNITS_FILE, files.units), (LABELS_FILE, files.labels)):
            if name in data:
                n = len(data[name]) // layout.n_examples
                part[own] = data[name][examples.start * n : examples.stop * n]
        parts.append(part)
    return parts
