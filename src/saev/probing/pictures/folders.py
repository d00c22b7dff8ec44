"""Tasks as folders: `<task>-positive/` and `<task>-negative/`, filled with pictures by hand.

Shape suffix: i = pictures of the recording.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError, reason
from saev.files import given_path
from saev.probing.pictures.attributes import Attribute, Attributes
from saev.progress import progress_bar
from saev.shards.format.examples import ExampleRecord
from saev.vit.images.base import read_file
from saev.vit.images.scan import PICTURES, scan

POSITIVE: Final = "-positive"
NEGATIVE: Final = "-negative"


@final
@dataclass(frozen=True)
class NewPicture:
    """A picture of a task that was never recorded."""

    path: Path  # Its file.
    name: str  # Of its folder, and its own in there.
    digest: str  # SHA-256 of its bytes, in hex.
    positive: bool  # Whether it lies in the positive folder.


@final
@dataclass(frozen=True)
class Task:
    """One question about pictures."""

    name: str  # What its folders are called, without the end.
    y_i: NDArray[np.int8]
    """(i,) int8: 1 for recorded pictures in the positive folder, 0 in the negative one, -1 in neither."""
    new: Sequence[NewPicture]  # The pictures of both folders that were never recorded, each once.


def read_tasks(root: str | Path, records: Sequence[ExampleRecord]) -> list[Task]:
    """The tasks below a folder, by name.

    Recorded pictures are known by their bytes (SHA-256), whatever their files are called; all copies of a picture get
    its label. Pictures may lie at any depth of the task's folders, as `saev.vit.images.ImageFolder` takes them.

    Args:
        root: The folder that holds the folders of the tasks.

    Raises:
        InputError: If there is no task, a task lacks one of its folders or pictures in it, a picture lies in both or
            cannot be read, or the recording does not know the bytes of its pictures.
    """
    root = given_path(root, "labels")
    if not all(record.digest for record in records):
        raise InputError(f"{root}: the recording has no SHA-256 of its pictures: record them with `saev predict`")
    images: dict[str, list[int]] = {}
    for image, record in enumerate(records):
        images.setdefault(record.digest, []).append(image)
    found = []
    for name in _names(root):
        sides = {end: _digests(root / f"{name}{end}") for end in (POSITIVE, NEGATIVE)}
        for digest in sides[POSITIVE].keys() & sides[NEGATIVE].keys():
            one, other = sides[POSITIVE][digest], sides[NEGATIVE][digest]
            raise InputError(f"task {name!r}: {one} and {other} are the same picture: remove one of them")
        y_i = np.full(len(records), -1, dtype=np.int8)
        new = []
        for end, pictures in sides.items():
            for digest, path in pictures.items():
                if digest in images:
                    y_i[images[digest]] = end == POSITIVE
                else:
                    new.append(NewPicture(path, path.relative_to(root).as_posix(), digest, end == POSITIVE))
        found.append(Task(name, y_i, new))
    return found


def task_attributes(tasks: Sequence[Task]) -> Attributes:
    """What folders say of the recorded pictures; one task or more.

    Raises:
        InputError: If none of a task's positive, or negative, pictures was recorded.
    """
    for task in tasks:
        for end, value in ((POSITIVE, 1), (NEGATIVE, 0)):
            if not (task.y_i == value).any():
                n = sum(one.positive == bool(value) for one in task.new)
                raise InputError(
                    f"task {task.name!r}: none of the {n:,} pictures in {task.name}{end} was recorded: fill it with "
                    "copies of recorded pictures, or record these"
                )
    y_ij = np.stack([task.y_i for task in tasks], axis=1)
    return Attributes(
        [Attribute("folders", task.name, task.name) for task in tasks], y_ij, [], np.empty((len(y_ij), 0))
    )


def _names(root: Path) -> list[str]:
    try:
        folders = {path.name for path in root.iterdir() if path.is_dir()}
    except OSError as error:
        raise InputError(
            f"labels {root}: cannot be read ({reason(error)}): give image, patch, or a folder with folders of tasks"
        ) from error
    ended = {(name.removesuffix(end), end) for name in folders for end in (POSITIVE, NEGATIVE) if name.endswith(end)}
    names = sorted({name for name, _ in ended})
    if not names:
        raise InputError(f"{root}: no folders of tasks, such as stripes{POSITIVE} and stripes{NEGATIVE}: make them")
    for name in names:
        for end in (POSITIVE, NEGATIVE):
            if (name, end) not in ended:
                raise InputError(f"{root}: task {name!r} has no folder {name}{end}: a task needs both of its sides")
    return names


def _digests(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by SHA-256; of copies the first."""
    found: dict[str, Path] = {}
    for entry in progress_bar(scan(folder, PICTURES), desc=folder.name, unit=" pictures"):
        if entry.fault:
            raise InputError(f"{entry.fault}; replace it")
        data = read_file(f"{folder}/{entry.path}", entry.path)
        found.setdefault(hashlib.sha256(data).hexdigest(), folder / entry.path)
    return found
