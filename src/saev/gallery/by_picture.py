"""What is known of each picture, as scripts that hold `CHUNK` pictures each: a page loads those that it looks at.

Shape suffixes: i = images, p = patches, r = runs, s = d_sae, n = pairs of an image and a latent that fires there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.latents.heatmaps import Levels
from saev.latents.labels import Labels
from saev.pages.embedding import data_script

CHUNK: Final = 256
LONGEST_RUN: Final = 255
MAX_PAIRS: Final = 2**22
"""Pairs of an image and a latent that are kept for a page: 16 MiB of scripts where latents take two bytes."""
LEAST_LATENTS: Final = 64
"""So many latents of an image are kept, however many images there are."""
MOST_LATENTS: Final = 2**16 - 1  # How many there are stands in two bytes.


@final
@dataclass(frozen=True)
class Masks:
    """Labels of patches."""

    names: Sequence[str]  # What the numbers mean.
    numbers_ip: NDArray[np.uint8]  # (images of the recording, patches) uint8, places in `names`; `NO_LABEL` for none.

    @classmethod
    def of(cls, labels: Labels) -> Self | None:
        """Those of a recording, if it has any."""
        return None if labels.patch_numbers is None else cls(labels.patch_names, labels.patch_numbers)


@final
@dataclass(frozen=True)
class PictureLevels:
    """Which latents fire in images, and how strongly at most."""

    images_i: NDArray[np.int64]  # Ids of the images, ascending.
    starts_i: NDArray[np.int64]  # (images + 1,) where the pairs of each image begin, and the end.
    latents_n: NDArray[np.int64]  # Latents, ascending within an image.
    levels_n: Levels  # Their largest values there as shares of the latents' largest ones, 1 to 255: all of them fire.
    most: int | None  # Latents of an image at most, those of the highest levels; None where all are there.

    @classmethod
    def of(cls, images_i: NDArray[np.int64], values: csc_array, max_value_s: NDArray[np.float32]) -> Self:
        """The levels of values (i, s) above 0; of many images only the strongest `MAX_PAIRS` / images of each.

        Args:
            images_i: Ids of the images, in any order.
            values: The largest value of each latent in each of them.
            max_value_s: What level 255 stands for, by latent.
        """
        by_image = values.tocsr()[np.argsort(images_i)]
        by_image.sort_indices()
        starts_i, latents_n = by_image.indptr.astype(np.int64), by_image.indices.astype(np.int64)
        shares_n = by_image.data / max_value_s[latents_n]
        levels_n = np.clip(np.rint(255 * shares_n), 1, 255).astype(np.uint8)
        most = None
        counts_i = np.diff(starts_i)
        bound = min(max(LEAST_LATENTS, MAX_PAIRS // max(1, len(images_i))), MOST_LATENTS)
        if counts_i.max(initial=0) > bound:
            most = bound
            kept_n = np.ones(len(shares_n), dtype=np.bool_)
            for start, stop in pairwise(starts_i):
                kept_n[start + np.argsort(-shares_n[start:stop], kind="stable")[most:]] = False
            latents_n, levels_n = latents_n[kept_n], levels_n[kept_n]
            starts_i = np.concatenate([[0], np.cumsum(np.minimum(counts_i, most))])
        return cls(np.sort(images_i), starts_i, latents_n, levels_n, most)


def level_bytes(levels: PictureLevels, d_sae: int) -> int:
    """Upper bound of the bytes of `level_scripts`."""
    n_images, n_pairs = len(levels.images_i), len(levels.latents_n)
    of_parts = n_pairs * (3 if d_sae <= 2**16 else 5) + 3 * n_images
    return of_parts * 4 // 3 + 100 * (n_images // CHUNK + 1)


def level_scripts(levels: PictureLevels, images: Sequence[int], d_sae: int) -> Iterator[str]:
    """What fires in some pictures, in their order: whether it is known, how many latents there are, these, the levels.

    Args:
        d_sae: Number of latents: up to 65,536 take two bytes each.
    """
    kind = "<u2" if d_sae <= 2**16 else "<u4"
    for start in range(0, len(images), CHUNK):
        own_i = np.array(images[start : start + CHUNK])
        row_i = np.searchsorted(levels.images_i, own_i)
        row_i[row_i == len(levels.images_i)] = 0
        known_i = levels.images_i[row_i] == own_i if len(levels.images_i) else np.zeros(len(own_i), dtype=np.bool_)
        pairs = [slice(*levels.starts_i[row : row + 2]) for row in row_i[known_i]]
        counts_i = np.zeros(len(own_i), dtype="<u2")
        counts_i[known_i] = [pair.stop - pair.start for pair in pairs]
        yield data_script(
            {
                "known": known_i.astype("u1"),
                "counts": counts_i,
                "latents": np.concatenate([np.empty(0, kind), *(levels.latents_n[one] for one in pairs)]).astype(kind),
                "levels": np.concatenate([np.empty(0, "u1"), *(levels.levels_n[one] for one in pairs)]),
            }
        )


def mask_scripts(masks: Masks, images: Sequence[int]) -> Iterator[str]:
    """The labels of patches of some pictures, in their order, as runs: the label's number, then how many follow."""
    for start in range(0, len(images), CHUNK):
        yield data_script([runs(masks.numbers_ip[image]) for image in images[start : start + CHUNK]])


def mask_bytes(masks: Masks, image: int) -> int:
    """Upper bound of what a picture takes in these scripts."""
    return 2 * runs(masks.numbers_ip[image]).size + 8


def runs(numbers_p: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(r, 2) numbers and how often each stands there, at most 255 times.

    >>> runs(np.array([7, 7, 7, 0, *[9] * 300], dtype=np.uint8)).tolist()
    [[7, 3], [0, 1], [9, 255], [9, 45]]
    """
    starts_r = np.concatenate([[0], np.flatnonzero(np.diff(numbers_p)) + 1])
    counts_r = np.diff(starts_r, append=len(numbers_p))
    parts_r = np.maximum(1, -(-counts_r // LONGEST_RUN))  # long runs come in parts
    lengths = np.full(parts_r.sum(), LONGEST_RUN)
    lengths[np.cumsum(parts_r) - 1] = counts_r - (parts_r - 1) * LONGEST_RUN
    return np.stack([np.repeat(numbers_p[starts_r], parts_r), lengths], axis=1).astype(np.uint8)
