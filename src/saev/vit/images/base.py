"""What every source of pictures offers."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, final

from PIL import Image
from typing_extensions import override

from saev.files import UnreadableFile, irregular, read_regular, unreadable
from saev.registry import Registry, kept_arguments
from saev.vit.images.decode import BadImage, decode

PixelAgg = Literal["majority", "prefer-fg"]
NO_LABEL = 255  # In masks and patch labels.
MAX_FILE_BYTES: Final = 2**30
"""Upper bound of a picture's file: more than `decode.MAX_PIXELS` take uncompressed, with four bytes each."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One picture: the name that identifies it (relative, posix), its label, and the bytes of its file."""

    path: str
    label: str | None
    n_bytes: int
    fault: str | None = None
    """Why it cannot be used, where that shows without reading it."""


class ImageSource(ABC):
    """Pictures in an order that never changes, read one at a time.

    Subclasses fill `entries`, in `__init__`. The workers of a DataLoader are forked and have copies.
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

    def file_of(self, index: int) -> Path | None:  # noqa: ARG002 - for sources of files
        """Return the file whose bytes `read_bytes` gives, as an absolute path; None where they are part of another."""
        return None

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the pictures are, as an absolute path or the name of a data set."""

    def describe(self) -> dict[str, Any]:
        """Return ``{"class": its name, "args": its arguments}`` as plain JSON, enough for `from_description`.

        By default these are the attributes of their names, and paths are absolute.

        Raises:
            InputError: If there is no attribute of a name.
        """
        kept = kept_arguments(self, "describe").items()
        args = {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in kept}
        return {"class": type(self).__name__.removeprefix("_"), "args": args}

    def read(self, index: int) -> Image.Image:
        """Decode a picture to upright RGB.

        Raises:
            BadImage: It cannot be read or decoded.
        """
        return decode(self.read_bytes(index), self.record(index).path)

    def check(self, index: int) -> None:
        """Read and decode all of a picture: its name, its file, and its mask if there are masks.

        Raises:
            BadImage: It cannot be used.
        """
        if fault := self.record(index).fault:
            raise BadImage(f"{fault}; replace it")
        self.read_with_mask(index, self.read_bytes(index))

    def check_known(self) -> None:
        """Look for faults that show without reading a picture.

        Raises:
            BadImage: One cannot be used; the first of them.
        """
        for index, entry in enumerate(self.entries):
            if entry.fault:
                self.check(index)

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

    def read_with_mask(self, index: int, data: bytes) -> tuple[Image.Image, Image.Image | None]:
        """Decode a picture whose file was read, and read its mask where there is one.

        Raises:
            BadImage: One of them cannot be used, or the mask has another size.
        """
        name = self.record(index).path
        picture, mask = decode(data, name), self.patch_mask(index)
        if mask is not None and mask.size != picture.size:
            raise BadImage(
                f"the mask of picture '{name}' is {mask.width} x {mask.height} pixels, the picture "
                f"{picture.width} x {picture.height}; they must be the same"
            )
        return picture, mask

    @property
    def class_names(self) -> list[str]:
        """Image labels, sorted, each once."""
        return sorted({entry.label for entry in self.entries if entry.label is not None})

    @property
    def patch_class_names(self) -> list[str]:
        """Names of the masks' values 0, 1, ...; empty where they are not known."""
        return []

    def metadata(self) -> Mapping[str, Sequence[str]]:
        """Return what else is known of the pictures, as a table: its columns by their headings; here none.

        A column has a text for each picture, in their order: what would stand in the cells of a CSV of `--metadata`,
        which takes the place of all this where it is given. Nothing is recorded of it: it is asked for when a gallery
        is made or a hypothesis is looked for, of the source that `describe` makes again.
        """
        return {}

    def identity(self) -> dict[str, Any]:
        """Return what identifies this set: a hash over names, labels and sizes, no machine path."""
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(json.dumps([entry.path, entry.label, entry.n_bytes]).encode())
        return {"n_examples": len(self), "sha256": digest.hexdigest()}

    def without(self, indices: Collection[int]) -> "ImageSource":
        """Return the same source with these pictures left out, the others moved up."""
        return _Without(self, sorted(indices)) if indices else self


class ImageFiles(ImageSource):
    """Pictures that are files of their own: the names of `entries` are paths below `directory`."""

    directory: Path

    @override
    def read_bytes(self, index: int) -> bytes:
        name = self.record(index).path
        return read_file(f"{self.directory}/{name}", name)

    @override
    def file_of(self, index: int) -> Path:
        return (self.directory / self.record(index).path).absolute()


IMAGE_SOURCES: Registry[ImageSource] = Registry(
    ImageSource, "source of pictures", "saev.image_sources", lambda cls: (cls.__name__.removeprefix("_"),)
)


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

    @override
    def without(self, indices: Collection[int]) -> ImageSource:
        """Never one within another: each holds the names of its pictures."""
        return self.source.without({*self.indices, *(self._kept[index] for index in indices)})

    @property
    @override
    def location(self) -> str:
        return self.source.location

    @override
    def read_bytes(self, index: int) -> bytes:
        return self.source.read_bytes(self._kept[index])

    @override
    def file_of(self, index: int) -> Path | None:
        return self.source.file_of(self._kept[index])

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
    def metadata(self) -> Mapping[str, Sequence[str]]:
        table = self.source.metadata()
        return {name: [cells[index] for index in self._kept] for name, cells in table.items()}

    @override
    def identity(self) -> dict[str, Any]:
        return self.source.identity() | super().identity()

    @override
    def describe(self) -> dict[str, Any]:
        return {"class": "Without", "args": {"source": self.source.describe(), "indices": self.indices}}


def read_file(path: str, name: str) -> bytes:
    """Read the file of one picture or mask: a regular one of at most `MAX_FILE_BYTES`.

    Raises:
        BadImage: It cannot be read; says why.
    """
    try:
        return read_regular(path, MAX_FILE_BYTES)
    except UnreadableFile as error:
        raise BadImage(f"'{name}' cannot be used: {error}; replace it") from error


def look_at_file(path: str, name: str) -> tuple[int, str | None]:
    """The bytes of a picture's file, and why it cannot be used where that shows without opening it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return 0, f"file name {name!r} is not UTF-8: {path!r}"
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path for each of a million pictures costs more
    except (OSError, ValueError) as error:
        return 0, f"'{name}' cannot be used: {path}: {unreadable(error)}"
    fault = irregular(status, MAX_FILE_BYTES)
    return (0, f"'{name}' cannot be used: {path}: {fault}") if fault else (status.st_size, None)
