"""One shard while it is written."""

from concurrent.futures import Executor
from pathlib import Path
from typing import final

from saev.files import bring_to_disk
from saev.shards.format.hashing import unit_bounds, unit_hashes
from saev.shards.format.recording import Recording
from saev.shards.format.shard_record import ShardFiles, ShardRecord
from saev.shards.writing.hashed_file import HashedFile, write_file


@final
class OpenShard:
    """Takes the examples of a shard in order; after `commit` it is whole, before that it is nothing.

    Args:
        shard: Its number; the file of its activations is reserved.
        pool: Where the activations are hashed while they are written.
    """

    def __init__(self, directory: Path, recording: Recording, shard: int, *, with_labels: bool, pool: Executor) -> None:
        self._directory = directory
        self._content_id = recording.content_id
        layout = recording.layout
        self._n_bytes = layout.bytes_per_shard
        bounds = unit_bounds(layout.tokens, layout.bytes_per_token)
        self._unit_bounds = [bound * layout.bytes_per_token for bound in bounds]
        self._pool = pool
        self._names = ShardFiles(shard)
        self._acts = HashedFile(directory / self._names.acts, pool)
        self._files = {self._names.acts: self._acts}
        self._examples = self._files[self._names.examples] = HashedFile(directory / self._names.examples)
        self._units = self._files[self._names.units] = HashedFile(directory / self._names.units)
        if with_labels:
            self._files[self._names.labels] = HashedFile(directory / self._names.labels)

    def write(self, acts: memoryview, examples: memoryview, labels: memoryview | None) -> None:
        """Append some examples: their bytes as they go into the files (views of format 'B').

        Raises:
            OSError: If the disk does not take them.
        """
        units = self._pool.submit(unit_hashes, acts, self._unit_bounds)
        self._acts.write(acts)
        self._units.write(memoryview(units.result()))
        self._examples.write(examples)
        if labels is not None:
            self._files[self._names.labels].write(labels)

    def commit(self) -> None:
        """Pad with zeros, bring all to the disk, and write the record that makes the shard whole.

        Raises:
            OSError: If the disk does not take it.
        """
        try:
            self._acts.pad(self._n_bytes)
            record = ShardRecord(self._content_id, {name: file.finish() for name, file in self._files.items()})
            bring_to_disk(self._directory)  # the record must not survive a loss of power without its files
            write_file(self._directory / self._names.record, record.dump())
            bring_to_disk(self._directory)
        finally:
            self.close()

    def close(self) -> None:
        """Close the files as they are; again does nothing."""
        for file in self._files.values():
            file.close()
