"""Find the files of a folder: any depth, sorted, without reading them."""

import errno
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from saev.errors import InputError, reason
from saev.vit.images.base import ImageEntry, look_at_file

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif")

MAX_WAYS: Final = 10
"""Upper bound of the ways by which links lead to one folder: a few that link to each other hold millions of names."""


def scan(root: Path, suffixes: tuple[str, ...]) -> list[ImageEntry]:
    """List the files with these suffixes below a folder, sorted by their relative posix path.

    The label is the first folder level, None for files at the top. Hidden files and folders are ignored,
    links are followed. Files that cannot be used, such as links to nowhere, are listed with their faults.

    Raises:
        InputError: The folder is missing, empty of such files, or a folder in it is unreadable or reached in more than
            `MAX_WAYS` ways.
    """
    if not root.is_dir():
        raise InputError(f"folder of pictures '{root}' {'is a file' if root.exists() else 'does not exist'}")
    try:
        found = list(_walk(str(root)))
    except OSError as error:
        advice = "give it read permission" if error.errno == errno.EACCES else "move it away"
        raise InputError(f"'{error.filename}' cannot be read ({reason(error)}); {advice}") from error
    names = sorted(name for name in found if name.lower().endswith(suffixes))
    if not names:
        others = f"{len(found)} other files are in it" if found else "no file is in it"
        raise InputError(f"folder '{root}' has no pictures ({', '.join(suffixes)}) at any depth; {others}")
    return [_entry(str(root), name) for name in names]


def _entry(root: str, name: str) -> ImageEntry:
    n_bytes, fault = look_at_file(f"{root}/{name}", name)
    return ImageEntry(name, name.split("/", 1)[0] if "/" in name else None, n_bytes, fault)


def _walk(root: str) -> Iterator[str]:
    """Names relative to the root; without recursion, for folders may be nested deeper than Python's calls."""
    ways: Counter[tuple[int, int]] = Counter()
    todo: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(root, "", frozenset())]
    while todo:
        folder, prefix, parents = todo.pop()
        status = os.stat(folder)  # noqa: PTH116 - a Path for each of a million files is slow
        this = (status.st_dev, status.st_ino)
        if this in parents:
            continue  # a link to a folder above
        ways[this] += 1
        if ways[this] > MAX_WAYS:
            raise InputError(f"links lead to '{folder}' in more than {MAX_WAYS} ways: remove some of them")
        with os.scandir(folder) as listing:
            for item in listing:
                if item.name.startswith("."):
                    continue
                path = f"{prefix}{item.name}"
                if _is_folder(item):
                    todo.append((item.path, f"{path}/", parents | {this}))
                else:
                    yield path


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself, which leads nowhere
            return False
        raise
