"""Pairs of pictures from two folders: the same names, one thing changed."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import final

from saev.errors import InputError
from saev.files import given_path
from saev.vit.images.base import ImageEntry
from saev.vit.images.scan import PICTURES, scan


@final
@dataclass(frozen=True)
class Pair:
    """A picture, and the same one changed.

    Args:
        name: Of both below their folders, without ending.
        before: The file of the first.
        after: The file of the second.
    """

    name: str
    before: Path
    after: Path


def pairs_of(before: str | Path, after: str | Path) -> list[Pair]:
    """The pictures of two folders that have the same names, at any depth; endings may differ.

    Args:
        before: A folder of pictures.
        after: The same pictures, changed.

    Raises:
        InputError: If a folder has no pictures, two of its pictures have one name, a picture cannot be used, or one of
            the folders has a name that the other lacks.
    """
    folders = given_path(before, "before"), given_path(after, "after")
    first, second = (_by_name(folder) for folder in folders)
    for folder, own, other in ((folders[0], first, second), (folders[1], second, first)):
        if lone := sorted(own.keys() - other.keys()):
            raise InputError(
                f"{folder}: {len(lone)} of {len(own)} pictures have no counterpart, first '{lone[0]}': give two "
                "folders with the same names"
            )
    return [Pair(name, folders[0] / first[name], folders[1] / second[name]) for name in sorted(first)]


def _by_name(folder: Path) -> dict[str, str]:
    found: dict[str, ImageEntry] = {}
    for entry in scan(folder, PICTURES):
        if entry.fault:
            raise InputError(f"{entry.fault}; replace it")
        name = PurePosixPath(entry.path).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{folder}: '{found[name].path}' and '{entry.path}' have one name: rename one of them")
        found[name] = entry
    return {name: entry.path for name, entry in found.items()}
