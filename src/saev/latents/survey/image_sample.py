"""A random choice of the images on which each latent fires.

An image is chosen by a hash of its id, of the latent and of a seed, so that the choice depends neither on the order of
images nor on who saw them. For one latent the hash is a permutation of the ids: the id is read back from it, and the
lower half of a key is free for the value.

Shape suffixes: s = latents, k = images chosen, p = pairs of a latent and an image.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.sparse import Floats
from saev.latents.survey.largest_keys import NO_KEY, LargestKeys
from saev.latents.survey.top_images import value_bits, values_of_bits
from saev.mixing import latent_keys, mix32, unmix32


@final
class ImageSample:
    """Up to `k` of the images on which each latent fires, every image as likely as another.

    Memory: see `LargestKeys`, and 4 bytes a latent.

    Args:
        n_latents: Number of latents.
        k: Images chosen for each.
        seed: Fixes the choice.
    """

    def __init__(self, n_latents: int, k: int, seed: int) -> None:
        self._largest = LargestKeys(n_latents, k)
        self._latent_keys_s = latent_keys(n_latents, seed)

    def update(self, latents_p: NDArray[np.int64], values_p: Floats, ids_p: NDArray[np.int64]) -> None:
        """Offer images as to `TopImages`."""
        present_p = values_p > 0
        if not present_p.all():
            latents_p, values_p, ids_p = latents_p[present_p], values_p[present_p], ids_p[present_p]
        hashes_p = mix32(ids_p.astype(np.uint32) ^ self._latent_keys_s[latents_p])
        self._largest.update(latents_p, (hashes_p.view(np.int32).astype(np.int64) << 32) | value_bits(values_p))

    @property
    def values(self) -> Tensor:
        """(n_latents, k) float32, in a random order; 0 where a latent fired on fewer than k images."""
        keys_sk = self._largest.keys
        return torch.from_numpy(np.where(keys_sk == NO_KEY, np.float32(0), values_of_bits(keys_sk)))

    @property
    def images(self) -> Tensor:
        """(n_latents, k) int64 image ids in the order of `values`; -1 where absent."""
        keys_sk = self._largest.keys
        ids_sk = unmix32((keys_sk >> 32).astype(np.uint32)) ^ self._latent_keys_s[:, None]
        return torch.from_numpy(np.where(keys_sk == NO_KEY, -1, ids_sk.astype(np.int64)))

    def state(self) -> dict[str, Tensor]:
        """Keys (n_latents, k) in any order, without a copy."""
        return {"keys": torch.from_numpy(self._largest.unsorted)}

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Add the state of a process that saw other images."""
        self._largest.merge(state["keys"].numpy())


def quantile_groups(
    values: Tensor, images: Tensor, n_groups: int = 5, n_each: int = 4
) -> list[list[tuple[int, float]]]:
    """Images from the whole range of values of a latent, the strongest group first.

    The chosen images are sorted by value (ties by the lower id) and cut into groups of equal size, as far as that is
    possible; of each group up to `n_each` are taken at equal distances.

    Args:
        values: (k,), one latent's row of `ImageSample.values`.
        images: (k,), that of its images, -1 where absent.
        n_groups: Quantile groups.
        n_each: Images of a group at most.

    Returns:
        For each group ids and values, descending; a group is empty if there are fewer images than groups.

    >>> quantile_groups(torch.tensor([1.0, 4.0, 3.0, 2.0, 0.0]), torch.tensor([5, 6, 7, 8, -1]), n_groups=2, n_each=1)
    [[(6, 4.0)], [(8, 2.0)]]
    """
    found = [(int(i), float(v)) for i, v in zip(images.tolist(), values.tolist(), strict=True) if i >= 0]
    found.sort(key=lambda image: (-image[1], image[0]))
    bounds = [len(found) * group // n_groups for group in range(n_groups + 1)]
    groups = [found[start:stop] for start, stop in pairwise(bounds)]
    return [
        [group[i * len(group) // n_each] for i in range(n_each)] if len(group) > n_each else group for group in groups
    ]
