"""Find the files of a folder: any depth, sorted, without reading them."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from saev.errors import InputError, reason
from saev.vit.images.base import ImageEntry, look_at_file

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif")


def scan(root: Path, suffixes: tuple[str, ...]) -> list[ImageEntry]:
    """List the files with these suffixes below a folder, sorted by their relative posix path.

    The label is the first folder level, None for files at the top. Hidden files and folders are ignored,
    links are followed. Files that cannot be used, such as links to nowhere, are listed with their faults.

    Raises:
        InputError: The folder is missing, empty of such files, or a folder in it is unreadable.
    """
    if not root.is_dir():
        raise InputError(f"folder of pictures '{root}' {'is a file' if root.exists() else 'does not exist'}")
    try:
        found = list(_walk(str(root), "", frozenset()))
    except OSError as error:
        raise InputError(f"'{error.filename}' cannot be read ({reason(error)}); give it read permission") from error
    names = sorted(name for name in found if name.lower().endswith(suffixes))
    if not names:
        others = f"{len(found)} other files are in it" if found else "no file is in it"
        raise InputError(f"folder '{root}' has no pictures ({', '.join(suffixes)}) at any depth; {others}")
    return [_entry(str(root), name) for name in names]


def _entry(root: str, name: str) -> ImageEntry:
    n_bytes, fault = look_at_file(f"{root}/{name}", name)
    return ImageEntry(name, name.split("/", 1)[0] if "/" in name else None, n_bytes, fault)


def _walk(folder: str, prefix: str, parents: frozenset[tuple[int, int]]) -> Iterator[str]:
    status = os.stat(folder)  # noqa: PTH116 - a Path for each of a million files is slow
    this = (status.st_dev, status.st_ino)
    if this in parents:
        return  # a link to a folder above
    with os.scandir(folder) as listing:
        for item in listing:
            if item.name.startswith("."):
                continue
            path = f"{prefix}{item.name}"
            if _is_folder(item):
                yield from _walk(item.path, f"{path}/", parents | {this})
            else:
                yield path


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link to itself, which leads nowhere
            return False
        raise
