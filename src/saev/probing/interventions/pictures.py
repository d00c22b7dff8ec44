"""The pictures of an intervention: which are chosen, what is known of them, and which are measured.

Shape suffix: i = chosen pictures.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.probing.pictures.units import in_test_half
from saev.progress import progress_bar
from saev.shards.tokens import random_subset
from saev.vit.images import ImageFolder, ImageSource, SegmentationFolder


@final
@dataclass(frozen=True)
class Chosen:
    """Some pictures of a source, ascending."""

    source: ImageSource  # Where they are.
    where: str  # What messages and results call it.
    numbers: Sequence[int]  # Of the pictures in it.
    labels: Sequence[str | None]  # Their classes.
    digests: Sequence[str]  # SHA-256 of their files: equal pictures are one observation.
    is_measured_i: NDArray[np.bool_]
    """(i,) which of them effects are measured on. The others teach the probes and choose the latents of classes."""

    @property
    def names(self) -> list[str]:
        """Paths of the pictures within the source."""
        return [self.source.record(number).path for number in self.numbers]

    @property
    def measured(self) -> list[int]:
        """Places of the measured ones among the chosen ones."""
        return [int(place) for place in np.flatnonzero(self.is_measured_i)]


def picture_source(images: ImageSource | str | Path, masks: str | Path | None) -> ImageSource:
    """The pictures, with masks where there are any.

    Args:
        images: A source, or a folder whose first level of folders names the classes.
        masks: A folder of masks of the same relative names; a `classes.txt` beside it names their values 1, 2, ...

    Raises:
        InputError: If a folder is missing, a picture has no mask, or the source has masks of its own already.
    """
    if masks is None:
        source = images if isinstance(images, ImageSource) else ImageFolder(Path(images))
    elif isinstance(images, ImageSource):
        raise InputError(f"--masks {masks} goes with a folder of pictures: {images.location} is a source of its own")
    else:
        root, folder = Path(masks).absolute().parent, Path(masks).name
        source = SegmentationFolder(root, os.path.relpath(Path(images).absolute(), root), folder)
    source.check_known()
    return source


def chosen_pictures(source: ImageSource, where: str, n_images: int, seed: int) -> Chosen:
    """Choose pictures at random, and the half of them that is measured, as all of `saev.probing` divides pictures.

    Where there are neither two classes nor masks, nothing is learned, and all are measured.

    Args:
        source: The pictures.
        where: What messages call it.
        n_images: Upper bound of the pictures.
        seed: Of the choice and the halves.

    Raises:
        InputError: If one of the halves has fewer than two pictures.
    """
    numbers = random_subset(len(source), n_images, seed).tolist()
    labels = [source.record(number).label for number in numbers]
    bar = progress_bar(numbers, desc="pictures", unit=" images")
    digests = [hashlib.sha256(source.read_bytes(number)).hexdigest() for number in bar]
    learns = len({label for label in labels if label is not None}) > 1 or source.has_masks
    halves = [in_test_half(digest, seed) if learns else True for digest in digests]
    n_measured, least = sum(halves), 2 if learns else 1
    if n_measured < least or (learns and len(halves) - n_measured < least):
        raise InputError(
            f"{where}: of {len(halves)} pictures {n_measured} are measured, and the probes learn from the others: each "
            "half needs two or more, give more pictures"
        )
    return Chosen(source, where, numbers, labels, digests, np.array(halves, dtype=np.bool_))
