"""A finished directory of shards, opened and checked without torch."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.shards.format.examples import EXAMPLES_FILE, ExampleRecord
from saev.shards.format.files import names_in, read_whole, size_of
from saev.shards.format.layout import ShardLayout, StoredLayer
from saev.shards.format.manifest import LABELS_FILE, SHARDS_FILE, Manifest, dump_shard_list
from saev.shards.format.metadata import METADATA_FILE, Metadata
from saev.shards.format.recording import Recording
from saev.shards.format.shard_record import count_shards
from saev.shards.format.strict_json import read_bytes

PARTIAL_SUFFIX: Final = ".partial"
GIVE: Final = "give a directory that `saev predict` printed"


def check_is_finished(directory: Path) -> None:
    """Raise InputError for anything but a finished directory of shards, saying what it is instead."""
    names = names_in(directory, GIVE)
    if directory.resolve().name.endswith(PARTIAL_SUFFIX):
        n_whole, n_shards = count_shards(names)
        raise InputError(
            f"{directory}: unfinished: {n_whole} of {n_shards} shards are recorded: run its `saev predict` again"
        )
    if METADATA_FILE not in names:
        inside = sorted(path.parent for path in directory.glob(f"*/{METADATA_FILE}"))
        hint = f": did you mean {inside[0]}?" if inside else f": {GIVE}"
        raise InputError(f"{directory}: not a directory of shards, it has no {METADATA_FILE}{hint}")


def check_shard_list(directory: Path, layout: ShardLayout) -> None:
    """Raise InputError if `shards.json` is missing, or differs from the layout."""
    path, expected = directory / SHARDS_FILE, dump_shard_list(layout)
    if fault := size_fault(directory, SHARDS_FILE, len(expected)):
        raise InputError(fault)
    if read_bytes(path, len(expected)) != expected:
        raise InputError(f"{path}: does not list the {layout.n_shards} shards of the manifest")


def size_fault(directory: Path, name: str, n_bytes: int) -> str | None:
    """What is wrong with the presence, kind or size of one file, if anything."""
    try:
        found = size_of(directory, name)
    except InputError as error:
        return str(error)
    if found == n_bytes:
        return None
    return f"{directory / name}: {'truncated' if found < n_bytes else 'too long'}: {found} bytes instead of {n_bytes}"


@dataclass(frozen=True, eq=False)
class ShardDirectory:
    """A directory whose descriptions agree and whose files are all there in full size.

    The contents of the files are not verified here: reading and `saev shards verify` do that.
    """

    path: Path
    metadata: Metadata
    manifest: Manifest
    layer: StoredLayer = field(default_factory=StoredLayer)
    """Which layer of its files this is."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open and check a directory of ours; `open_shards` takes one of the original saev, too.

        Raises:
            InputError: If it is missing, unfinished, foreign, of another version, contradictory or truncated.
        """
        check_is_finished(path)
        metadata = Metadata.read(path)
        manifest = Manifest.read(path)
        metadata.check_against(manifest.recording, str(path / METADATA_FILE))
        check_shard_list(path, manifest.layout)
        for name, file in manifest.files.items():
            if fault := size_fault(path, name, file.n_bytes):
                raise InputError(f"{fault}: copy it again or record it again")
        return cls(path, metadata, manifest)

    @property
    def recording(self) -> Recording:
        """What was recorded: model, layer, preprocessing, pictures."""
        return self.manifest.recording

    @property
    def layout(self) -> ShardLayout:
        """Where each token lies."""
        return self.manifest.layout

    @property
    def n_examples(self) -> int:
        """Examples in all shards."""
        return self.layout.n_examples

    def examples(self) -> list[ExampleRecord]:
        """All examples, in the order of the activations; where they have no names, just numbers.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.manifest.has_names:
            return [ExampleRecord(f"example {i}", None, 0, 0, 0, "") for i in range(self.layout.n_examples)]
        path = self.path / EXAMPLES_FILE
        data = read_bytes(path, self.manifest.files[EXAMPLES_FILE].n_bytes)
        self._check_hash(EXAMPLES_FILE, hashlib.sha256(data).hexdigest())
        lines = data.splitlines()
        if len(lines) != self.layout.n_examples:
            raise InputError(f"{path}: {len(lines)} lines for {self.layout.n_examples} examples")
        return [ExampleRecord.from_line(line, f"{path}: line {i}") for i, line in enumerate(lines, 1)]

    def patch_labels(self) -> NDArray[np.uint8] | None:
        """Patch labels, uint8 (n_examples, n_content), or None if none were recorded.

        Raises:
            InputError: If the file is damaged.
        """
        if not self.manifest.has_labels:
            return None
        labels = np.empty(self.layout.n_examples * self.layout.tokens.n_content, dtype=np.uint8)
        read_whole(self.path, LABELS_FILE, labels.data)
        self._check_hash(LABELS_FILE, hashlib.sha256(labels.data).hexdigest())
        return labels.reshape(self.layout.n_examples, self.layout.tokens.n_content)

    def _check_hash(self, name: str, sha256: str) -> None:
        expected = self.manifest.files[name].sha256
        if sha256 != expected and self.manifest.has_hashes:
            raise InputError(
                f"{self.path / name}: damaged: SHA-256 is {sha256}, the manifest says {expected}: "
                "copy it again or record it again"
            )
