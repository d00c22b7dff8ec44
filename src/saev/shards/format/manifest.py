"""`manifest.json`: everything that protocol 2.1 has no place for, and the hash of every file."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

from saev.errors import InputError
from saev.shards.format.examples import EXAMPLES_FILE
from saev.shards.format.hashing import UNITS_FILE, FileRecord, unit_hash_bytes
from saev.shards.format.layout import ShardLayout
from saev.shards.format.metadata import METADATA_FILE
from saev.shards.format.recording import Recording
from saev.shards.format.strict_json import (
    JsonObject,
    canonical_digest,
    canonical_json,
    located,
    parse_json,
    read_bytes,
)

MANIFEST_FILE: Final = "manifest.json"
SHARDS_FILE: Final = "shards.json"
LABELS_FILE: Final = "labels.bin"
SCHEMA: Final = 2
MAX_MANIFEST_BYTES: Final = 2**28  # block hashes of 50 TB
_KEYS: Final = (
    "schema", "digest", "content_id", "name", "config", "source", "class_names", "dataset",
    "tool_version", "files",
)  # fmt: skip


def dump_shard_list(layout: ShardLayout) -> bytes:
    """The bytes of `shards.json`, which the original saev reads."""
    names = range(layout.n_shards)
    rows = [{"name": layout.file_name(i), "n_examples": layout.n_examples_in(i)} for i in names]
    return (json.dumps(rows, indent=2) + "\n").encode("ascii")


@final
@dataclass(frozen=True)
class Manifest:
    """A recording and its files; `files` names all of them but the manifest itself."""

    recording: Recording
    tool_version: str
    files: dict[str, FileRecord]

    def _check_files(self) -> None:
        """Refuse other files than those of a recording of ours; the original saev has fewer."""
        layout = self.layout
        n_others = len(self.files) - layout.n_shards
        if n_others not in (4, 5):  # before any loop over shards: their number may be nonsense
            raise InputError(f"{len(self.files)} files for {layout.n_shards} shards")
        sizes: dict[str, int | None] = {EXAMPLES_FILE: None, SHARDS_FILE: None, METADATA_FILE: None}
        sizes[UNITS_FILE] = layout.n_examples * unit_hash_bytes(layout)
        if n_others == 5:
            sizes[LABELS_FILE] = layout.n_examples * layout.tokens.n_content
        sizes |= {layout.file_name(shard): layout.bytes_per_shard for shard in range(layout.n_shards)}
        for name, size in sizes.items():
            if name not in self.files:
                raise InputError(f"file {name} is not listed")
            if size not in (None, self.files[name].n_bytes):
                raise InputError(f"{name} has {self.files[name].n_bytes} bytes, the layout says {size}")

    @property
    def content_id(self) -> str:
        """SHA-256, in hex, of the configuration."""
        return self.recording.content_id

    @property
    def bytes_digest(self) -> str:
        """A short digest of the activations themselves; of their sizes where there are no hashes."""
        names = (self.layout.file_name(shard) for shard in range(self.layout.n_shards))
        text = "".join(f"{self.files[name].n_bytes}:{self.files[name].sha256}\n" for name in names)
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:12]

    @property
    def layout(self) -> ShardLayout:
        """Where each token lies."""
        return self.recording.layout

    @property
    def has_labels(self) -> bool:
        """Whether there are patch labels."""
        return LABELS_FILE in self.files

    @property
    def has_names(self) -> bool:
        """Whether it is known which pictures the examples are; the original saev keeps them in a pickle."""
        return EXAMPLES_FILE in self.files

    @property
    def has_hashes(self) -> bool:
        """Whether what is read can be verified; the original saev stores no hashes."""
        return UNITS_FILE in self.files

    def dump(self) -> bytes:
        """The bytes of the file.

        Raises:
            InputError: If the files are not those of the recording's layout.
        """
        self._check_files()
        value: dict[str, object] = {
            "schema": SCHEMA,
            "content_id": self.content_id,
            "name": self.recording.name,
            "config": self.recording.canonical(),
            "source": self.recording.source,
            "class_names": self.recording.class_names,
            "dataset": self.recording.dataset,
            "tool_version": self.tool_version,
            "files": {name: file.to_dict() for name, file in self.files.items()},
        }
        value = json.loads(canonical_json(value))  # as a reader will see it
        # The digest lets `saev shards verify` see damage in the one file that no other file lists.
        value["digest"] = canonical_digest(value)
        return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("ascii")

    @classmethod
    def parse(cls, data: bytes, where: str) -> Self:
        """From the bytes of the file, strictly.

        Raises:
            InputError: For other schemas, missing or unknown keys, wrong types, digests that don't fit, and
                other files than those of the recording's layout.
        """
        value = parse_json(data, where)
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise InputError(
                f"{where}: schema {str(schema)[:40]!r} cannot be read, only {SCHEMA}: another version of saev wrote "
                "it: record again"
            )
        found = JsonObject(value, where, _KEYS)
        assert isinstance(value, dict)
        try:
            digest = canonical_digest({key: value[key] for key in _KEYS if key != "digest"})
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not such JSON as saev writes ({error})") from error
        if digest != found.text("digest"):
            raise InputError(f"{where}: damaged or edited: its own digest does not fit")
        recording = Recording.from_canonical(
            found.mapping("config"),
            f"{where}: config",
            name=found.text("name"),
            source=found.mapping("source"),
            class_names=found.texts("class_names"),
            dataset=found.text("dataset"),
        )
        if recording.content_id != found.text("content_id"):
            raise InputError(f"{where}: content_id is not the hash of its config ({recording.content_id})")
        listed = found.mapping("files")
        files = {name: FileRecord.from_dict(file, f"{where}: file {name!r}") for name, file in listed.items()}
        manifest = cls(recording, found.text("tool_version"), files)
        with located(where):
            manifest._check_files()
        return manifest

    @classmethod
    def read(cls, directory: Path) -> Self:
        """From a directory of shards.

        Raises:
            InputError: If the file is missing, too large or not such a manifest.
        """
        path = directory / MANIFEST_FILE
        if not os.path.lexists(path):
            raise InputError(f"{path}: is missing: copy it again, or record again what another tool wrote")
        data = read_bytes(path, MAX_MANIFEST_BYTES)
        manifest = cls.parse(data, str(path))
        if manifest.dump() != data:  # white space, which the digest does not cover
            raise InputError(f"{path}: damaged or edited: not byte for byte what saev writes: copy it again")
        return manifest
