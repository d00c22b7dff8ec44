"""Find the files of a folder: any depth, sorted, without reading them."""

import os
from collections.abc import Iterator
from pathlib import Path

from saev.errors import InputError
from saev.vit.images.base import ImageEntry

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif")


def scan(root: Path, suffixes: tuple[str, ...]) -> list[ImageEntry]:
    """List the files with these suffixes below a folder, sorted by their relative posix path.

    The label is the first folder level, None for files at the top. Hidden files and folders are ignored,
    links are followed.

    Raises:
        InputError: The folder is missing, empty of such files, or something in it is unreadable.
    """
    if not root.is_dir():
        raise InputError(f"folder of pictures '{root}' {'is a file' if root.exists() else 'does not exist'}")
    try:
        found = sorted(_walk(str(root), "", frozenset()), key=lambda entry: entry.path)
    except OSError as error:
        raise InputError(f"'{error.filename}' cannot be read ({error.strerror}); give it read permission") from error
    entries = [entry for entry in found if entry.path.lower().endswith(suffixes)]
    if not entries:
        others = f"{len(found)} other files are in it" if found else "no file is in it"
        raise InputError(f"folder '{root}' has no pictures ({', '.join(suffixes)}) at any depth; {others}")
    _check_names(entries, root)
    return entries


def _walk(folder: str, prefix: str, parents: frozenset[tuple[int, int]]) -> Iterator[ImageEntry]:
    status = os.stat(folder)  # noqa: PTH116 - a Path for each of a million files is slow
    this = (status.st_dev, status.st_ino)
    if this in parents:
        return  # a link to a folder above
    with os.scandir(folder) as listing:
        for item in listing:
            if item.name.startswith("."):
                continue
            path = f"{prefix}{item.name}"
            if item.is_dir():
                yield from _walk(item.path, f"{path}/", parents | {this})
            else:
                label = path.split("/", 1)[0] if prefix else None
                yield ImageEntry(path, label, item.stat().st_size)


def _check_names(entries: list[ImageEntry], root: Path) -> None:
    for entry in entries:
        try:
            entry.path.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"file name {entry.path!r} in '{root}' is not UTF-8; rename it") from error
