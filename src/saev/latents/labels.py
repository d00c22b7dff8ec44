"""Labels of images and of patches as numbers, and what the numbers mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from saev.latents.metadata import Column, Numbers
from saev.shards.reading.reader import ShardReader
from saev.vit.images.base import NO_LABEL

LABELS_AT_ONCE = 2**22


@final
@dataclass(frozen=True)
class Labels:
    """What is known of the images of a recording."""

    names: Sequence[str]
    numbers: Numbers  # (n_examples,) the label of each image, as a place in `names`; -1 for none.
    patch_names: Sequence[str]  # Labels of patches; empty where none were recorded.
    patch_numbers: NDArray[np.uint8] | None  # (n_examples, patches) uint8; `NO_LABEL` for none.
    columns: Sequence[Column] = ()  # What else is known, from a table of the user's.

    @classmethod
    def of(cls, reader: ShardReader, columns: Sequence[Column] = ()) -> Self:
        """The labels of a recording.

        Args:
            columns: What else is known of its images.

        Raises:
            InputError: If its files are damaged.
        """
        given = [record.label for record in reader.examples()]
        names = sorted({label for label in given if label is not None})
        place: dict[str | None, int] = {label: number for number, label in enumerate(names)}
        numbers = np.array([place.get(label, -1) for label in given], dtype=np.int64)
        patch_numbers = reader.patch_labels()
        if patch_numbers is None:
            return cls(names, numbers, [], None, columns)
        n = _largest(patch_numbers) + 1
        recorded = _find(reader.recording.image_set, "patch_class_names")
        patch_names = [recorded[i] if i < len(recorded) else f"label {i}" for i in range(n)]
        return cls(names, numbers, patch_names, patch_numbers, columns)

    @property
    def counted(self) -> list[Column]:
        """The columns whose values are counted as labels are: numbers are not."""
        return [column for column in self.columns if column.kind in ("boolean", "categorical")]

    def of_patches(self, examples: Numbers) -> Numbers | None:
        """The labels (b, patches) of some images' patches, -1 for none."""
        if self.patch_numbers is None:
            return None
        found = self.patch_numbers[examples].astype(np.int64)
        found[found == NO_LABEL] = -1
        return found


def _largest(patch_numbers: NDArray[np.uint8]) -> int:
    """The largest label of a patch, -1 where there is none; in parts, since counting takes eight times their size."""
    seen = np.zeros(NO_LABEL + 1, dtype=np.bool_)
    flat = patch_numbers.reshape(-1)
    for start in range(0, len(flat), LABELS_AT_ONCE):
        seen |= np.bincount(flat[start : start + LABELS_AT_ONCE], minlength=len(seen)) > 0
    return int(np.flatnonzero(seen[:NO_LABEL])[-1]) if seen[:NO_LABEL].any() else -1


def _find(value: object, key: str) -> list[str]:
    """The list of texts under a key, at any depth: one image set may be made of another."""
    if not isinstance(value, Mapping):
        return []
    own = value.get(key)
    if isinstance(own, list) and all(isinstance(name, str) for name in own):
        return own
    return next((found for part in value.values() if (found := _find(part, key))), [])
