"""Attributes of the recorded pictures: what latents are compared with.

Shape suffixes: i = pictures of the recording, j = attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError, tell
from saev.latents.labels import Labels
from saev.latents.metadata import Metadata
from saev.vit.images.base import NO_LABEL

Source = Literal["label", "patch", "metadata", "folders", "words"]
MAX_CELLS: Final = 2**30
"""Upper bound of pictures times attributes: bytes of the labels."""


@final
@dataclass(frozen=True, order=True)
class Attribute:
    """What may be true of a picture."""

    source: Source  # Where it is known from.
    family: str  # What it belongs to: a column of the table, or the source.
    name: str  # What it is called; with the source it names one attribute.

    def __str__(self) -> str:
        return f"{self.source} {self.name!r}"


@final
@dataclass(frozen=True)
class Attributes:
    """What is known of the recorded pictures. All of the binary ones have pictures with them and pictures without.

    Raises:
        InputError: If two have one source and name.
    """

    binary: Sequence[Attribute]  # (j,) what may be true or not.
    y_ij: NDArray[np.int8]  # (i, j) int8: 1 true, 0 not true, -1 not known.
    numeric: Sequence[Attribute]  # (j,) what is measured.
    x_ij: NDArray[np.float64]  # (i, j) float64; NaN where it is not known.

    def __post_init__(self) -> None:
        seen: set[tuple[Source, str]] = set()
        for one in (*self.binary, *self.numeric):
            if (one.source, one.name) in seen:
                raise InputError(f"two attributes are called {one}: rename a column, a label or a value")
            seen.add((one.source, one.name))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The attributes of several sources; one or more.

        Raises:
            InputError: If they are not of equally many pictures.
        """
        if len(sizes := {len(part.y_ij) for part in parts}) != 1:
            raise InputError(f"attributes of {sorted(sizes)} pictures: give labels of one and the same recording")
        return cls(
            [one for part in parts for one in part.binary],
            np.concatenate([part.y_ij for part in parts], axis=1),
            [one for part in parts for one in part.numeric],
            np.concatenate([part.x_ij for part in parts], axis=1),
        )

    def labels_of(self, source: Source, name: str) -> NDArray[np.int8]:
        """(i,) int8 the labels of one binary attribute: 1 true, 0 not true, -1 not known.

        Raises:
            InputError: If there is none; names those of the source.
        """
        for place, one in enumerate(self.binary):
            if (one.source, one.name) == (source, name):
                return self.y_ij[:, place]
        known = [one.name for one in self.binary if one.source == source]
        shown = ", ".join(map(repr, known[:10])) + (" ..." if len(known) > 10 else "")
        raise InputError(f"no attribute {name!r} of {source}: there are {shown or 'none'}")


def image_labels(labels: Labels, where: str) -> Attributes:
    """Each image label against the others; pictures without a label are not known.

    Args:
        where: The recording, for messages.

    Raises:
        InputError: If there are no labels, or all pictures have the same one.
    """
    if len(labels.names) < 2:
        found = f"all labelled pictures are {labels.names[0]!r}" if labels.names else "no picture has a label"
        raise InputError(
            f"{where}: {found}: give a table (metadata), folders of tasks, or record pictures from one folder a class"
        )
    _check_size(len(labels.numbers), len(labels.names), where)
    return _binary("label", "label", labels.names, one_hot(labels.numbers, len(labels.names)))


def patch_labels(labels: Labels, where: str) -> Attributes:
    """Which labels of patches a picture has; a picture whose patches all have none is not known.

    One line for the user counts the labels that are left out, because all pictures or none have them.

    Args:
        where: The recording, for messages.

    Raises:
        InputError: If no patch labels were recorded, or no label tells pictures apart.
    """
    if labels.patch_numbers is None:
        raise InputError(
            f"{where}: no patch labels were recorded: record pictures with masks, from a SegmentationFolder"
        )
    n = len(labels.patch_names)
    _check_size(len(labels.patch_numbers), n, where)
    y_ij = np.full((len(labels.patch_numbers), n), -1, dtype=np.int8)
    labelled_i = (labels.patch_numbers != NO_LABEL).any(axis=1)
    for label in range(n):
        present_i = (labels.patch_numbers == label).any(axis=1)
        y_ij[labelled_i, label] = present_i[labelled_i]
    kept = np.flatnonzero(_both(y_ij)).tolist()
    if not kept:
        raise InputError(f"{where}: all pictures have the same labels of patches: record others, or give a table")
    if len(kept) < n:
        tell(f"{where}: {n - len(kept)} of {n} patch labels are left out: all pictures or none have them")
    return _binary("patch", "patch", [labels.patch_names[label] for label in kept], y_ij[:, kept])


def table(metadata: Metadata) -> Attributes:
    """What a table says: boolean columns, each value of a categorical one against the others, and numeric columns.

    The attribute of a value is called "column=value".

    Raises:
        InputError: If no column tells pictures apart, there are too many values, or two attributes get one name.
    """
    parts = []
    for column in metadata.telling():
        if column.kind == "numeric":
            x_i = column.floats()[:, None]
            attribute = Attribute("metadata", column.name, column.name)
            parts.append(Attributes([], np.empty((len(x_i), 0), np.int8), [attribute], x_i))
        elif column.kind == "boolean":
            y_i = np.nan_to_num(column.floats(), nan=-1).astype(np.int8)
            parts.append(_binary("metadata", column.name, [column.name], y_i[:, None]))
        else:
            names = [f"{column.name}={value}" for value in column.values]
            _check_size(len(column.numbers_i), len(names) + sum(len(part.binary) for part in parts), metadata.name)
            parts.append(_binary("metadata", column.name, names, one_hot(column.numbers_i, len(names))))
    return Attributes.joined(parts)


def one_hot(numbers_i: NDArray[np.int64], n: int) -> NDArray[np.int8]:
    """(i, n) int8: 1 at each picture's number, 0 elsewhere, -1 everywhere for a picture whose number is -1."""
    y_ij = np.zeros((len(numbers_i), n), dtype=np.int8)
    known_i = np.flatnonzero(numbers_i >= 0)
    y_ij[known_i, numbers_i[known_i]] = 1
    y_ij[numbers_i < 0] = -1
    return y_ij


def _binary(source: Source, family: str, names: Sequence[str], y_ij: NDArray[np.int8]) -> Attributes:
    return Attributes([Attribute(source, family, name) for name in names], y_ij, [], np.empty((len(y_ij), 0)))


def _both(y_ij: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(j,) whether pictures with and without each attribute are known."""
    both: NDArray[np.bool_] = (y_ij == 1).any(axis=0) & (y_ij == 0).any(axis=0)
    return both


def _check_size(n_images: int, n_attributes: int, where: str) -> None:
    if n_images * n_attributes > MAX_CELLS:
        raise InputError(
            f"{where}: {n_images:,} pictures times {n_attributes:,} attributes are more than {MAX_CELLS:,}: "
            "record fewer pictures, or join labels"
        )
