"""Where the object of a picture is, by masks of files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import numpy as np
from PIL import Image

from saev.errors import InputError
from saev.files import given_path
from saev.probing.sets.edits import Mask
from saev.vit.images.base import NO_LABEL, read_file
from saev.vit.images.decode import decode_mask
from saev.vit.images.segmentation import mask_name, read_class_names


@final
@dataclass(frozen=True)
class Masks:
    """Masks of recorded pictures, as `SegmentationFolder` describes them."""

    folder: Path  # Where they are, by the names of the pictures.
    names: Sequence[str]  # Of their values 0, 1, ...; empty where there is no `classes.txt` beside the folder.

    @classmethod
    def of(cls, folder: str | Path) -> Self:
        """The masks of a folder.

        Raises:
            InputError: If there is no such folder, or `classes.txt` beside it cannot be read.
        """
        folder = given_path(folder, "masks")
        if not folder.is_dir():
            raise InputError(f"masks {folder}: there is no such folder")
        return cls(folder, read_class_names(folder.absolute().parent / "classes.txt"))

    def class_of(self, attribute: str) -> str | None:
        """The class of masks that an attribute names; None where it names none, so that all but the background count.

        >>> Masks(Path("masks"), ["background", "zebra"]).class_of("zebra")
        'zebra'
        """
        return attribute if attribute in self.names[1:] else None

    def object_of(
        self, path: str, size: tuple[int, int], attribute: str, nearest: Callable[[Image.Image], Image.Image]
    ) -> Mask:
        """Where the object is in what the ViT saw of a picture (height, width).

        Args:
            path: The picture's name in its recording.
            size: Its width and height.
            attribute: What the object is, see `class_of`.
            nearest: Moves a mask as the picture was moved.

        Raises:
            InputError: If the picture has no mask, it cannot be read, or it has another size.
        """
        name = mask_name(path)
        values = decode_mask(read_file(str(self.folder / name), f"{self.folder.name}/{name}"), name)
        if values.shape != size[::-1]:
            raise InputError(
                f"the mask of picture '{path}' is {values.shape[1]} x {values.shape[0]} pixels, the picture "
                f"{size[0]} x {size[1]}; they must be the same"
            )
        seen = np.asarray(nearest(Image.fromarray(values)))
        own = self.class_of(attribute)
        found: Mask = (seen != 0) & (seen != NO_LABEL) if own is None else seen == self.names.index(own)
        return found
