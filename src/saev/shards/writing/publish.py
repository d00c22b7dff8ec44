"""The last steps of a recording: one list of examples, one of unit hashes, one file of labels, and the descriptions."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

import saev
from saev.errors import InputError
from saev.files import bring_to_disk
from saev.shards.format.examples import EXAMPLES_FILE
from saev.shards.format.hashing import BLOCK_BYTES, UNITS_FILE, FileHasher, FileRecord, hash_bytes
from saev.shards.format.manifest import LABELS_FILE, MANIFEST_FILE, SHARDS_FILE, Manifest, dump_shard_list
from saev.shards.format.metadata import METADATA_FILE, Metadata
from saev.shards.format.recording import Recording
from saev.shards.format.shard_record import ShardFiles, ShardRecord
from saev.shards.writing.hashed_file import HashedFile, write_file


def join_and_describe(
    directory: Path, recording: Recording, records: Sequence[ShardRecord], *, with_labels: bool
) -> None:
    """Write all that a finished directory holds beside its activations; metadata.json comes last.

    Raises:
        InputError: If a part is not what its record says.
        OSError: If the disk does not take it.
    """
    shards = [ShardFiles(number) for number in range(len(records))]
    files = {names.acts: record.files[names.acts] for names, record in zip(shards, records, strict=True)}
    parts = {EXAMPLES_FILE: [names.examples for names in shards], UNITS_FILE: [names.units for names in shards]}
    if with_labels:
        parts[LABELS_FILE] = [names.labels for names in shards]
    for name, sources in parts.items():
        expected = (record.files[source] for source, record in zip(sources, records, strict=True))
        files[name] = _join(directory, name, zip(sources, expected, strict=True))
    files[SHARDS_FILE] = write_file(directory / SHARDS_FILE, dump_shard_list(recording.layout))
    metadata = Metadata.of(recording).dump()
    files[METADATA_FILE] = hash_bytes(metadata)
    manifest = Manifest(recording, saev.__version__, dict(sorted(files.items())))
    write_file(directory / MANIFEST_FILE, manifest.dump())
    bring_to_disk(directory)
    write_file(directory / METADATA_FILE, metadata)  # a directory without it is not whole
    bring_to_disk(directory)


def _join(directory: Path, name: str, parts: Iterable[tuple[str, FileRecord]]) -> FileRecord:
    """Write the parts of a file one after the other, each compared with its record."""
    path = directory / name
    path.unlink(missing_ok=True)
    with closing(HashedFile(path)) as whole:
        for source, expected in parts:
            _append(whole, directory / source, expected)
        return whole.finish()


def _append(whole: HashedFile, source: Path, expected: FileRecord) -> None:
    hasher = FileHasher()
    with source.open("rb") as part:
        while data := part.read(BLOCK_BYTES):
            hasher.update(memoryview(data))
            whole.write(memoryview(data))
    if hasher.record() != expected:
        source.unlink()  # so that its shard counts as missing
        raise InputError(
            f"{source}: damaged since it was written: run the same command again, it records that shard anew"
        )


def make_read_only(directory: Path) -> None:
    """Protect a directory and its files from changes by mistake.

    Raises:
        OSError: If that is not allowed.
    """
    for path in (*directory.iterdir(), directory):
        path.chmod(path.stat().st_mode & ~0o222)
