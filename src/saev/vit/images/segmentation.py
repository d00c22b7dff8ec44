"""A folder of pictures with a folder of masks beside it."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Final, final, get_args

from PIL import Image
from typing_extensions import override

from saev.errors import InputError, WrongArgument
from saev.files import given_path, read_regular_text
from saev.vit.images.base import NO_LABEL, ImageFiles, PixelAgg, read_file
from saev.vit.images.decode import BadImage, decode_mask
from saev.vit.images.scan import PICTURES, scan

_MAX_CLASSES_BYTES: Final = 2**20


@final
class SegmentationFolder(ImageFiles):
    """Pictures with masks of the same relative name: ``images/cat/1.jpg`` and ``masks/cat/1.png``.

    A mask is an 8-bit PNG, grey or palette, whose values are classes: 0 is the background, 255 no label. An
    optional ``classes.txt`` in the root names the classes 1, 2, ..., one a line.

    Args:
        root: The folder that holds both.
        images: Name of the folder of pictures.
        masks: Name of the folder of masks.
        pixel_agg: majority: a patch's most frequent class; prefer-fg: its most frequent one but 0.
        threshold: Share of a patch's pixels that its class must have; below it the patch has no label.

    Raises:
        InputError: A folder is missing or empty, or a picture has no mask.
    """

    def __init__(
        self,
        root: str | Path,
        images: str = "images",
        masks: str = "masks",
        pixel_agg: PixelAgg = "majority",
        threshold: float = 0.0,
    ) -> None:
        if pixel_agg not in get_args(PixelAgg):
            raise WrongArgument("pixel_agg", f"{pixel_agg!r}: give one of {', '.join(get_args(PixelAgg))}")
        if not 0 <= threshold <= 1:
            raise WrongArgument("threshold", f"{threshold}: give a share from 0 to 1")
        self.root = given_path(root, "root")
        self.images = images
        self.masks = masks
        self.pixel_agg = pixel_agg
        self.threshold = threshold
        self.directory = self.root / images
        self.entries = scan(self.directory, PICTURES)
        found = {entry.path: entry for entry in scan(self.root / masks, (".png",))}
        self._class_names = read_class_names(self.root / "classes.txt")
        lone = [entry.path for entry in self.entries if mask_name(entry.path) not in found]
        if lone:
            raise InputError(
                f"{len(lone)} of {len(self)} pictures in '{self.directory}' have no mask, the first is "
                f"'{lone[0]}': '{self.root / masks / mask_name(lone[0])}' does not exist"
            )
        self._mask_sizes = {path: entry.n_bytes for path, entry in found.items()}
        faults = {path: f"mask {entry.fault}" for path, entry in found.items() if entry.fault}
        self.entries = [
            replace(entry, fault=entry.fault or faults.get(mask_name(entry.path))) for entry in self.entries
        ]

    @property
    @override
    def location(self) -> str:
        return str(self.root.absolute())

    @property
    @override
    def has_masks(self) -> bool:
        return True

    @property
    @override
    def patch_class_names(self) -> list[str]:
        return list(self._class_names)

    @override
    def patch_mask(self, index: int) -> Image.Image:
        name = f"{self.masks}/{mask_name(self.record(index).path)}"
        values = decode_mask(read_file(f"{self.root}/{name}", name), name)
        labelled = values[values != NO_LABEL]
        if self._class_names and labelled.size and labelled.max() >= len(self._class_names):
            raise BadImage(
                f"mask '{name}' holds the value {labelled.max()}, but classes.txt names "
                f"{len(self._class_names) - 1} classes beside the background"
            )
        return Image.fromarray(values)

    @override
    def identity(self) -> dict[str, Any]:
        sizes = "".join(f"{self._mask_sizes[mask_name(entry.path)]}\n" for entry in self.entries)
        return super().identity() | {
            "pixel_agg": self.pixel_agg,
            "threshold": self.threshold,
            "patch_class_names": self.patch_class_names,
            "masks_sha256": hashlib.sha256(sizes.encode()).hexdigest(),
        }


def mask_name(picture: str) -> str:
    """The name of a picture's mask below their folder."""
    return PurePosixPath(picture).with_suffix(".png").as_posix()


def read_class_names(file: Path) -> list[str]:
    """Names of a mask's values 0, 1, ..., the background first; none where there is no such file.

    Raises:
        InputError: If it cannot be read.
    """
    if not os.path.lexists(file):
        return []
    lines = read_regular_text(file, _MAX_CLASSES_BYTES).splitlines()
    return ["background", *(line.strip() for line in lines if line.strip())]
