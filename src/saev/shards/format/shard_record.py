"""The record that makes a shard of an unfinished recording whole, and the names of its files."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, final

from saev.errors import InputError
from saev.shards.format.files import fault_text
from saev.shards.format.hashing import FileRecord
from saev.shards.format.layout import ACTS_FILE
from saev.shards.format.metadata import METADATA_FILE
from saev.shards.format.strict_json import JsonObject, parse_json, read_bytes

SCHEMA: Final = 2
RECORD_FILE: Final = re.compile(r"acts[0-9]{6}\.json")
MAX_RECORD_BYTES: Final = 2**26


@final
class ShardFiles:
    """The names that belong to one shard while the recording is unfinished."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.acts = f"acts{shard:06d}.bin"
        """Its activations; the one that stays."""
        self.examples = f"examples{shard:06d}.jsonl"
        """Its part of examples.jsonl."""
        self.labels = f"labels{shard:06d}.bin"
        """Its part of labels.bin."""
        self.units = f"units{shard:06d}.xxh3"
        """Its part of units.xxh3."""
        self.record = f"acts{shard:06d}.json"
        """The record that is written last: with it the shard is whole."""
        self.temporary = (self.examples, self.labels, self.units, self.record)
        """All that a finished recording does not hold; there may be no labels."""


@final
@dataclass(frozen=True)
class ShardRecord:
    """Sizes and hashes of a shard's files, by name."""

    content_id: str
    files: dict[str, FileRecord]

    def dump(self) -> bytes:
        """The bytes of the record."""
        files = {name: file.to_dict() for name, file in self.files.items()}
        return json.dumps({"schema": SCHEMA, "content_id": self.content_id, "files": files}).encode("ascii")

    @classmethod
    def find(cls, path: Path) -> Self | None:
        """From a file, strictly; None if there is none, or one that is no such record.

        Raises:
            InputError: If it cannot be read, or is of another version: then nothing may be concluded.
        """
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"{path}: {fault_text(error)}") from error
        data, where = read_bytes(path, MAX_RECORD_BYTES), str(path)
        try:
            found = JsonObject(parse_json(data, where), where, ("schema", "content_id", "files"))
            schema = found.integer("schema")
            if schema == SCHEMA:
                listed = found.mapping("files").items()
                files = {name: FileRecord.from_dict(file, f"{where}: file {name!r}") for name, file in listed}
                return cls(found.text("content_id"), files)
        except InputError:
            return None
        raise InputError(
            f"{path}: schema {schema}: another version of saev began this recording: finish it with that one, or "
            f"remove {path.parent} and record again"
        )


def count_shards(names: Collection[str]) -> tuple[int, int]:
    """Whole shards and all shards of an unfinished recording that holds files of these names."""
    n_whole, n_shards = (sum(bool(kind.fullmatch(name)) for name in names) for kind in (RECORD_FILE, ACTS_FILE))
    # With metadata.json only the final name is missing, and the records may be gone already.
    return (n_shards if METADATA_FILE in names else n_whole), n_shards
