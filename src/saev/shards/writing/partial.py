"""A recording while it is unfinished: beside its final place, under a hidden name.

It is a directory of reserved files. A shard in it is whole when its record is there, which is written last; so a
recording that was killed anywhere goes on from its whole shards.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final, final

from saev.errors import InputError
from saev.files import bring_to_disk, unwritable
from saev.lock import LOCK_SUFFIX, FileLock, is_locked
from saev.shards.format.files import allocated_bytes
from saev.shards.format.hashing import unit_hash_bytes
from saev.shards.format.manifest import MANIFEST_FILE, Manifest
from saev.shards.format.metadata import METADATA_FILE
from saev.shards.format.recording import Recording
from saev.shards.format.shard_record import ShardFiles, ShardRecord, count_shards
from saev.shards.reading.directory import PARTIAL_SUFFIX, ShardDirectory, size_fault
from saev.shards.writing.hashed_file import reserve
from saev.shards.writing.publish import join_and_describe, make_read_only

_EXAMPLE_BYTES: Final = 400  # about one line of examples.jsonl, for the space that is needed


@final
class PartialRecording:
    """The place of one recording: finds, prepares and publishes it. Made without touching the disk.

    Args:
        root: Where the finished directory goes.
    """

    def __init__(self, root: Path, recording: Recording, *, with_labels: bool = False) -> None:
        self.root = root
        self.recording = recording
        self.layout = recording.layout
        self.with_labels = with_labels
        self.final = root / recording.directory_name
        self.path = root / f".{recording.directory_name}{PARTIAL_SUFFIX}"

    @property
    def _lock_path(self) -> Path:
        return self.path.with_suffix(LOCK_SUFFIX)

    @cached_property
    def _lock(self) -> FileLock:
        path = self._lock_path
        return FileLock(path, f"{path}: another run is recording the same thing: wait for it or stop it")

    @property
    def n_bytes(self) -> int:
        """Disk space of the whole recording, without its small files."""
        # Examples, labels and unit hashes are there twice while their parts are joined.
        n_labels = self.layout.tokens.n_content * self.with_labels
        per_example = 2 * (n_labels + unit_hash_bytes(self.layout) + _EXAMPLE_BYTES)
        return self.layout.total_bytes + self.layout.n_examples * per_example

    def allocated(self) -> int:
        """Disk space that an unfinished recording has taken already."""
        return allocated_bytes(self.path)

    def finished(self) -> Path | None:
        """The finished directory, or None if there is none.

        Raises:
            InputError: If there is one that is not whole; it must be moved away before recording.
        """
        if not self.final.exists():
            return None
        try:
            found = ShardDirectory.open(self.final).manifest.content_id
        except InputError as error:
            raise InputError(
                f"{self.final} is there but not whole: `saev shards repair` it, or move it away to record it again "
                f"({error})"
            ) from error
        if found != self.recording.content_id:
            raise InputError(f"{self.final}: holds content {found}, not {self.recording.content_id}: move it away")
        is_locked(self._lock_path)  # removes the lock of a run that was killed between the last name and its end
        return self.final

    def claim(self) -> None:
        """Keep other runs away, clear what is not whole, and reserve the space of what is missing.

        Raises:
            InputError: If the directory exists, another run records the same thing, or the disk is too small.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock.claim()
        except OSError as error:
            raise InputError(unwritable(self.root, error, self.n_bytes)) from error
        try:
            if self.final.exists():
                raise InputError(f"{self.final}: already exists: move it away to record it again")
            with self.disk_faults():
                self._prepare()
            self._lock.share()
        except BaseException:
            self.leave()
            raise

    def join(self) -> None:
        """Take part in a recording that another process of this run has claimed.

        Raises:
            InputError: If another run has claimed it since.
        """
        self._lock.join()

    @contextmanager
    def disk_faults(self) -> Iterator[None]:
        """Turns the disk's errors into one line, with the bytes needed and free.

        Raises:
            InputError: For an OSError inside.
        """
        try:
            yield
        except OSError as error:
            need = max(0, self.n_bytes - self.allocated()) or self.n_bytes  # where all is reserved, too
            raise InputError(
                f"{unwritable(Path(error.filename or self.path), error, need)}; what is whole stays"
            ) from error

    def _prepare(self) -> None:
        self.path.mkdir(exist_ok=True)
        self.path.chmod(0o755)  # it is read-only if it was left just before it got its final name
        if self._is_described():
            return
        whole = [files for files in self._all_files() if self.is_whole(files)]
        keep = {name for files in whole for name in (files.acts, *files.temporary)}
        for path in self.path.iterdir():
            if path.name not in keep:
                path.unlink()
        for files in self._all_files():
            if files.acts not in keep:
                reserve(self.path / files.acts, self.layout.bytes_per_shard)
        bring_to_disk(self.path)

    def _all_files(self) -> Iterator[ShardFiles]:
        return (ShardFiles(shard) for shard in range(self.layout.n_shards))

    def _is_described(self) -> bool:
        """Whether all that is missing is the final name."""
        return (self.path / METADATA_FILE).exists()

    def is_whole(self, files: ShardFiles) -> bool:
        """Whether a shard is recorded: its record is there, and its files have the sizes that it says.

        Raises:
            InputError: If that cannot be decided.
        """
        record = ShardRecord.find(self.path / files.record)
        if record is None:
            return False
        names = {files.acts, files.examples, files.units, *([files.labels] if self.with_labels else [])}
        return (
            record.content_id == self.recording.content_id
            and record.files.keys() == names
            and record.files[files.acts].n_bytes == self.layout.bytes_per_shard
            and all(_has_size(self.path / name, file.n_bytes) for name, file in record.files.items())
        )

    def missing(self) -> list[int]:
        """The shards that are not whole, ascending."""
        if self._is_described():
            return []
        return [files.shard for files in self._all_files() if not self.is_whole(files)]

    def publish(self) -> Path:
        """Describe the whole recording, give it its final name, which is returned, and leave.

        Raises:
            InputError: If the disk does not take it.
        """
        with self.disk_faults():
            if not self._is_described():
                records = [ShardRecord.find(self.path / files.record) for files in self._all_files()]
                whole = [record for record in records if record is not None]
                assert len(whole) == self.layout.n_shards, "shards are missing"
                join_and_describe(self.path, self.recording, whole, with_labels=self.with_labels)
            for name, file in Manifest.read(self.path).files.items():
                if fault := size_fault(self.path, name, file.n_bytes):
                    raise InputError(f"{fault}: changed by another hand: move {self.path} away and record it again")
            for files in self._all_files():
                for name in files.temporary:
                    (self.path / name).unlink(missing_ok=True)
            make_read_only(self.path)
            bring_to_disk(self.path)
            self.path.rename(self.final)
            bring_to_disk(self.root)
        self.leave()
        return self.final

    def reopen(self, write_records: Callable[[], None]) -> None:
        """Take the final name away from a directory again.

        Args:
            write_records: Writes the records of its whole shards into it.

        Raises:
            InputError: If a run is at work there, or the disk does not take it.
        """
        with self.disk_faults():
            self._lock.claim()
        try:
            if self.path.exists():
                raise InputError(f"{self.path}: is there, too: move one of them away")
            with self.disk_faults():
                for path in (self.final, *self.final.iterdir()):
                    path.chmod(path.stat().st_mode | 0o200)
                write_records()
                # Without it, whatever happens from here on, it is not taken for whole.
                (self.final / METADATA_FILE).unlink(missing_ok=True)
                bring_to_disk(self.final)
                self.final.rename(self.path)
                bring_to_disk(self.root)
        finally:
            self._lock.release()

    def leave(self) -> None:
        """Let other runs in. A recording without a whole shard is removed, unless another process works on it.

        Again does nothing.
        """
        if self._is_worthless() and self._lock.is_alone():
            shutil.rmtree(self.path)
        self._lock.release()

    def _is_worthless(self) -> bool:
        """Whether it is there and no shard of it has ever been whole."""
        if not self.path.is_dir():
            return False
        names = self._names()
        return count_shards(names)[0] == 0 and MANIFEST_FILE not in names

    def progress(self) -> tuple[int, int]:
        """Whole shards and all shards, from the names of the files alone."""
        return count_shards(self._names() if self.path.is_dir() else [])[0], self.layout.n_shards

    def _names(self) -> list[str]:
        return [path.name for path in self.path.iterdir()]


def _has_size(path: Path, n_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size == n_bytes
