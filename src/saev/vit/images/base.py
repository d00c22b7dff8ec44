"""What every source of pictures offers."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, final

from PIL import Image
from typing_extensions import override

from saev.vit.images.decode import BadImage, decode

PixelAgg = Literal["majority", "prefer-fg"]
NO_LABEL = 255  # In masks and patch labels.


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One picture: the name that identifies it (relative, posix), its label, and the bytes of its file."""

    path: str
    label: str | None
    n_bytes: int


class ImageSource(ABC):
    """Pictures in an order that never changes, read one at a time.

    Subclasses fill `entries`. Sources are pickled for the workers of a DataLoader.
    """

    entries: Sequence[ImageEntry]
    pixel_agg: PixelAgg = "majority"
    threshold: float = 0.0

    def __len__(self) -> int:
        return len(self.entries)

    def record(self, index: int) -> ImageEntry:
        """Return name, label and size of a picture, without reading it."""
        return self.entries[index]

    @abstractmethod
    def read_bytes(self, index: int) -> bytes:
        """Return the bytes of a picture's file.

        Raises:
            BadImage: It cannot be read.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the class and its arguments as plain JSON, enough for `from_description`."""

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the pictures are, as an absolute path or the name of a data set."""

    def read(self, index: int) -> Image.Image:
        """Decode a picture to upright RGB.

        Raises:
            BadImage: It cannot be read or decoded.
        """
        return decode(self.read_bytes(index), self.record(index).path)

    @property
    def has_masks(self) -> bool:
        """Whether every picture has a mask of its patches' classes."""
        return False

    def patch_mask(self, index: int) -> Image.Image | None:  # noqa: ARG002 - for sources that have masks
        """Return the mask of a picture in mode L (a pixel's value is its class, 255 no label), or None.

        Raises:
            BadImage: The mask cannot be read, or holds an unknown class.
        """
        return None

    @property
    def class_names(self) -> list[str]:
        """Image labels, sorted, each once."""
        return sorted({entry.label for entry in self.entries if entry.label is not None})

    @property
    def patch_class_names(self) -> list[str]:
        """Names of the masks' values 0, 1, ...; empty where they are not known."""
        return []

    def identity(self) -> dict[str, Any]:
        """Return what tells this set from others: a hash over names, labels and sizes, no machine path."""
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(json.dumps([entry.path, entry.label, entry.n_bytes]).encode())
        return {"n_examples": len(self), "sha256": digest.hexdigest()}

    def without(self, indices: Collection[int]) -> "ImageSource":
        """Return the same source with these pictures left out, the others moved up."""
        return _Without(self, sorted(indices)) if indices else self


@final
class _Without(ImageSource):
    """Another source with some pictures left out; private, so that --data.images does not offer it."""

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        left_out = set(indices)
        self.source = source
        self.indices = sorted(left_out)
        self._kept = [index for index in range(len(source)) if index not in left_out]
        self.entries = [source.record(index) for index in self._kept]
        self.pixel_agg = source.pixel_agg
        self.threshold = source.threshold

    @property
    @override
    def location(self) -> str:
        return self.source.location

    @override
    def read_bytes(self, index: int) -> bytes:
        return self.source.read_bytes(self._kept[index])

    @override
    def patch_mask(self, index: int) -> Image.Image | None:
        return self.source.patch_mask(self._kept[index])

    @property
    @override
    def has_masks(self) -> bool:
        return self.source.has_masks

    @property
    @override
    def patch_class_names(self) -> list[str]:
        return self.source.patch_class_names

    @override
    def identity(self) -> dict[str, Any]:
        return self.source.identity() | super().identity()

    @override
    def describe(self) -> dict[str, Any]:
        return {"class": "Without", "args": {"source": self.source.describe(), "indices": self.indices}}


def read_file(path: str, name: str) -> bytes:
    """Read the file of one picture or mask.

    Raises:
        BadImage: It cannot be read; says why.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a Path for each of a million pictures costs more than the read
            return file.read()
    except OSError as error:
        raise BadImage(f"'{name}' cannot be read ({error.strerror}): {path}") from error
