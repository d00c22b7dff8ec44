"""Finds the unfinished recordings in a directory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from saev.lock import LOCK_SUFFIX, is_locked
from saev.shards.format.files import allocated_bytes, names_in
from saev.shards.format.shard_record import count_shards
from saev.shards.reading.directory import PARTIAL_SUFFIX

_NAME: Final = re.compile(rf"\.[A-Za-z0-9._-]+-[0-9a-f]{{12}}{re.escape(PARTIAL_SUFFIX)}")
_FILE: Final = re.compile(
    r"acts[0-9]{6}\.(bin|json)|examples([0-9]{6})?\.jsonl|labels([0-9]{6})?\.bin|units([0-9]{6})?\.xxh3|"
    r"(metadata|shards|manifest)\.json|.*\.json\.new"
)


@final
@dataclass(frozen=True)
class Unfinished:
    """An unfinished recording."""

    path: Path
    n_whole: int
    n_shards: int
    n_bytes: int
    """Disk space that it takes."""
    is_in_use: bool
    """Whether a run is at work there."""

    @property
    def is_removable(self) -> bool:
        """Whether no run is at work there and shards are missing, not just the final name."""
        return not self.is_in_use and (self.n_whole < self.n_shards or not self.n_shards)


def unfinished(root: Path) -> Iterator[Unfinished]:
    """The unfinished recordings in a directory, by name; nothing that could be anything else.

    Raises:
        InputError: If there is no such directory.
    """
    names = names_in(root, "give a directory that recordings were written to")
    for path in sorted(root / name for name in names):
        if _NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            names = [file.name for file in path.iterdir()]
            if all(_FILE.fullmatch(name) for name in names):
                is_in_use = is_locked(path.with_suffix(LOCK_SUFFIX))
                yield Unfinished(path, *count_shards(names), allocated_bytes(path), is_in_use)
