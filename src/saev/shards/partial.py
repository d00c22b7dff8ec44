"""A directory of shards while it is written: beside its final place, under a hidden name."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import saev
from saev.errors import InputError
from saev.shards.byte_text import byte_text
from saev.shards.examples import EXAMPLES_FILE
from saev.shards.hashed_file import HashedFile, fsync_directory, reserve
from saev.shards.hashing import FileRecord, hash_bytes
from saev.shards.manifest import LABELS_FILE, MANIFEST_FILE, SHARDS_FILE, Manifest, dump_shard_list
from saev.shards.metadata import METADATA_FILE, Metadata
from saev.shards.recording import Recording

_JSON_BYTES: Final = 2**20  # a guess at the small files, for the message about too little space


@final
@dataclass(frozen=True)
class Batch:
    """The bytes of consecutive examples, as they go into the files (views of format 'B')."""

    acts: memoryview
    examples: memoryview
    labels: memoryview


@final
class PartialDirectory:
    """Writes batches into the files of a recording, and gives the directory its final name when whole.

    A directory that a killed run left under the same name is cleared; the caller holds the lock.

    Raises:
        InputError: if the disk does not hold the recording, or can't be written.
    """

    def __init__(self, path: Path, recording: Recording, *, with_labels: bool) -> None:
        self._path = path
        self._recording = recording
        self._layout = recording.layout
        n_labels = recording.layout.n_examples * recording.layout.tokens.n_content
        self._labels_bytes = n_labels if with_labels else 0
        self._n_bytes = self._layout.total_bytes + self._labels_bytes + _JSON_BYTES
        self._records: dict[str, FileRecord] = {}
        self._streams: dict[str, HashedFile] = {}
        self.remove()
        self._free = shutil.disk_usage(path.parent).free
        self._shard = 0
        try:
            with self._disk_faults():
                self._path.mkdir()
                self._reserve()
        except BaseException:
            self.remove()
            raise

    def _reserve(self) -> None:
        for shard in range(self._layout.n_shards):
            reserve(self._path / self._layout.file_name(shard), self._layout.bytes_per_shard)
        if self._labels_bytes:
            reserve(self._path / LABELS_FILE, self._labels_bytes)

    @contextmanager
    def _disk_faults(self) -> Iterator[None]:
        """Turns the disk's errors into one line, with the bytes needed and free."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"{self._path.parent}: cannot write {self._recording.directory_name} ({error.strerror}): it "
                f"needs {byte_text(self._n_bytes)} ({self._n_bytes} bytes) and {byte_text(self._free)} "
                f"({self._free} bytes) were free: make room or record elsewhere"
            ) from error

    def write(self, batch: Batch) -> None:
        """Append some examples.

        Raises:
            InputError: if the disk does not take them.
        """
        with self._disk_faults():
            self._write_acts(batch.acts)
            self._stream(EXAMPLES_FILE).write(batch.examples)
            if self._labels_bytes:
                self._stream(LABELS_FILE).write(batch.labels)

    def _stream(self, name: str) -> HashedFile:
        if name not in self._streams:
            self._streams[name] = HashedFile(self._path / name)
        return self._streams[name]

    def _write_acts(self, acts: memoryview) -> None:
        while acts:
            name = self._layout.file_name(self._shard)
            stream = self._stream(name)
            part = acts[: self._layout.bytes_per_shard - stream.n_bytes]
            stream.write(part)
            acts = acts[len(part) :]
            if stream.n_bytes == self._layout.bytes_per_shard:
                self._finish_stream(name)
                self._shard += 1

    def _finish_stream(self, name: str) -> None:
        self._records[name] = self._streams[name].finish()
        del self._streams[name]

    def finish(self, final_path: Path) -> None:
        """Pad the last shard, write the descriptions, bring all to the disk and rename.

        Raises:
            InputError: if the disk does not take it.
        """
        with self._disk_faults():
            if self._shard < self._layout.n_shards:
                assert self._shard == self._layout.n_shards - 1, "examples are missing"
                name = self._layout.file_name(self._shard)
                self._stream(name).pad(self._layout.bytes_per_shard)
            for name in list(self._streams):
                self._finish_stream(name)
            self._write_descriptions()
            fsync_directory(self._path)
            self._path.rename(final_path)
            fsync_directory(final_path.parent)

    def _write_descriptions(self) -> None:
        metadata = Metadata.of(self._recording).dump()
        self._write_small(SHARDS_FILE, dump_shard_list(self._layout))
        files = {**self._records, METADATA_FILE: hash_bytes(metadata)}
        manifest = Manifest(self._recording, saev.__version__, dict(sorted(files.items())))
        self._write_small(MANIFEST_FILE, manifest.dump())
        self._write_small(METADATA_FILE, metadata)  # last: a directory without it is not whole

    def _write_small(self, name: str, data: bytes) -> None:
        self._stream(name).write(memoryview(data))
        self._finish_stream(name)

    def remove(self) -> None:
        """Close and delete everything; again does nothing."""
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
        if self._path.exists():
            shutil.rmtree(self._path)
