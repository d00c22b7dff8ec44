"""On which labels the strongest tenth of what each latent fires on lies.

A latent that fires strongly on fruit alone may fire weakly on a hundred times as much else. So what is counted is its
strongest tenth: of the images on which it fires, as far as they are kept; of the patches, `MAX_PATCHES` at most. It is
enlarged until it comes from `LEAST_IMAGES` images, since what fewer say is chance, and by all that are as strong as its
weakest one: a choice among equals would be one by the order of the images. Where these are more than are kept, nothing
is counted.

Shape suffixes: s = d_sae, l = labels, a = some latents, k = kept images or patches of each, strongest first, b = images
of a batch, c = patches of an image, n = active codes.
"""

from typing import Any, Final, NamedTuple, Self, final

import numpy as np
from numpy.typing import NDArray

from saev.latents.sparse import Spots
from saev.latents.survey.by_latent import LatentCodes
from saev.latents.survey.kept_images import LAST_ID, NO_KEY, LargestKeys, value_bits

MAX_PATCHES: Final = 512
LEAST_IMAGES: Final = 4
Ints = NDArray[np.int64]


class Strongest(NamedTuple):
    """What the strongest tenth of latents lies on."""

    counts_al: Ints  # Its images, or patches, by label.
    images_al: Ints  # Its images by the label of the image, or of its strongest patch.
    n_images_a: Ints  # Its images that have one of these labels.


def strongest_images(
    images_ak: Ints, values_ak: NDArray[np.float32], fires_a: Ints, labels_i: Ints, n_labels: int
) -> Strongest:
    """Of images.

    Args:
        images_ak: The strongest images, -1 where there are fewer.
        values_ak: Their values.
        fires_a: On how many images each latent fires.
        labels_i: The label of each image, -1 for none.
        n_labels: Labels, from 0 on.
    """
    n_a = np.maximum(-(-fires_a // 10), LEAST_IMAGES)
    is_strong_ak = _is_strong(values_ak, n_a, fires_a) & (images_ak >= 0)
    counts_al = _count(np.where(is_strong_ak, labels_i[images_ak], -1), n_labels)
    return Strongest(counts_al, counts_al, counts_al.sum(1))


@final
class StrongPatches:
    """The strongest patches of each latent, among those that have a label; and in how many images each label is.

    Memory: that of `LargestKeys` with `MAX_PATCHES` keys.
    """

    def __init__(self, d_sae: int, n_labels: int, spots: Spots) -> None:
        self._largest = LargestKeys(d_sae, MAX_PATCHES)
        self._spots = spots
        self._images_l = np.zeros(n_labels, dtype=np.int64)
        self._n_images = 0

    @staticmethod
    def can_number(n_images: int, n_patches: int) -> bool:
        """Whether the patches of images with ids below `n_images` can be told apart."""
        return n_images * n_patches <= LAST_ID + 1

    def update(self, codes: LatentCodes, labels_bc: NDArray[Any], labels_n: NDArray[Any], ids_b: Ints) -> None:
        """Add images that were not seen before.

        Args:
            labels_bc: Labels of their patches, -1 for none.
            labels_n: The label of each entry's patch, -1 where it has none or is no patch.
        """
        n_patches = len(self._spots.patches)
        assert not len(ids_b) or self.can_number(int(ids_b.max()) + 1, n_patches), "patches that cannot be numbered"
        has_bl = np.zeros((len(labels_bc), len(self._images_l)), dtype=np.bool_)
        rows, columns = np.nonzero(labels_bc >= 0)
        has_bl[rows, labels_bc[rows, columns]] = True
        self._images_l += has_bl.sum(0)
        self._n_images += int(has_bl.any(1).sum())
        known = np.flatnonzero(labels_n >= 0)
        images = codes.images_n[known].astype(np.int64)
        patches = codes.tokens_n[known] - images * self._spots.n_positions - self._spots.patches.start
        numbers = ids_b[images] * n_patches + patches
        self._largest.update(codes.latents_n[known], (value_bits(codes.values_n[known]) << 32) | (LAST_ID - numbers))

    @property
    def label_images(self) -> tuple[Ints, int]:
        """(l,) images that have a patch of each label, and the images that have one of any."""
        return self._images_l, self._n_images

    def strongest(self, latents_a: Ints, fires_a: Ints, patch_labels_ic: NDArray[np.uint8]) -> Strongest:
        """Of patches.

        Args:
            fires_a: On how many patches that have a label each of them fires.
            patch_labels_ic: The labels of the patches of all images.
        """
        keys_ak = np.sort(self._largest.unsorted[latents_a], axis=1)[:, ::-1]
        images_ak, patches_ak = np.divmod(LAST_ID - (keys_ak & LAST_ID), len(self._spots.patches))
        images_ak = np.where(keys_ak == NO_KEY, -1, images_ak)
        is_first_ak = _is_first(images_ak)
        n_needed_a = (is_first_ak.cumsum(1) < LEAST_IMAGES).sum(1) + 1
        n_a = np.maximum(-(-fires_a // 10), n_needed_a)
        is_strong_ak = _is_strong(keys_ak >> 32, n_a, fires_a) & (images_ak >= 0)
        labels_ak = np.where(is_strong_ak, patch_labels_ic[images_ak, patches_ak].astype(np.int64), -1)
        n_labels = len(self._images_l)
        images_al = _count(np.where(is_first_ak, labels_ak, -1), n_labels)
        return Strongest(_count(labels_ak, n_labels), images_al, images_al.sum(1))

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._largest.merge(other._largest)
        self._images_l += other._images_l
        self._n_images += other._n_images


def _is_strong(values_ak: NDArray[Any], n_a: Ints, fires_a: Ints) -> NDArray[np.bool_]:
    """(a, k) which of descending values are among the first n, or equal to the last of these."""
    n_kept = values_ak.shape[1]
    least_a1 = np.take_along_axis(values_ak, np.clip(n_a, 1, n_kept)[:, None] - 1, axis=1)
    is_last_a1 = values_ak[:, -1:] == least_a1
    is_one_a1 = values_ak[:, :1] == values_ak[:, -1:]
    is_cut_a1 = (fires_a > n_kept)[:, None] & is_last_a1 & (is_one_a1 | (n_a < n_kept)[:, None])
    found_ak: NDArray[np.bool_] = (values_ak >= least_a1) & ~is_cut_a1
    return found_ak


def _is_first(images_ak: Ints) -> NDArray[np.bool_]:
    """(a, k) whether an image has not come before in its row; never for -1."""
    order_ak = images_ak.argsort(axis=1, kind="stable")
    sorted_ak = np.take_along_axis(images_ak, order_ak, axis=1)
    is_first_ak = np.diff(sorted_ak, axis=1, prepend=-1) != 0
    found_ak = np.empty(images_ak.shape, dtype=np.bool_)
    np.put_along_axis(found_ak, order_ak, is_first_ak, axis=1)
    return found_ak


def _count(labels_ak: Ints, n_labels: int) -> Ints:
    """(a, l) how often each label is in each row; -1 does not count."""
    rows, columns = np.nonzero(labels_ak >= 0)
    places = rows * n_labels + labels_ak[rows, columns]
    return np.bincount(places, minlength=len(labels_ak) * n_labels).reshape(len(labels_ak), n_labels)
