"""The images on which each latent is strongest.

A value and its image's id are packed into one integer: the bits of a positive float32 grow with the float, so
`bits << 32 | (2^32 - 1 - id)` sorts by value first and by lower id second. Keys are unique, so that no order is left
to chance.

Shape suffixes: s = latents, k = images kept, p = pairs of a latent and an image.
"""

from collections.abc import Mapping
from typing import Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.sparse import Floats
from saev.latents.survey.largest_keys import NO_KEY, LargestKeys

LAST_ID: Final = 2**32 - 1


@final
class TopImages:
    """The `k` strongest images of every latent, exactly, ties going to the lower image id.

    Memory: see `LargestKeys`.

    >>> top = TopImages(n_latents=2, k=2)
    >>> top.update(np.array([0, 0, 1]), np.array([1, 3, 2], dtype=np.float32), np.array([7, 9, 7]))
    >>> top.values.tolist(), top.images.tolist()
    ([[3.0, 1.0], [2.0, 0.0]], [[9, 7], [7, -1]])
    """

    def __init__(self, n_latents: int, k: int) -> None:
        self._largest = LargestKeys(n_latents, k)

    def update(self, latents_p: NDArray[np.int64], values_p: Floats, ids_p: NDArray[np.int64]) -> None:
        """Offer images, ascending in their latents, each once for a latent; only values above zero count.

        Args:
            latents_p: Latents.
            values_p: What the images are worth, finite.
            ids_p: The images, 0 to 2^32 - 1.
        """
        present_p = values_p > 0
        if not present_p.all():
            latents_p, values_p, ids_p = latents_p[present_p], values_p[present_p], ids_p[present_p]
        self._largest.update(latents_p, (value_bits(values_p) << 32) | (LAST_ID - ids_p))

    @property
    def values(self) -> Tensor:
        """(n_latents, k) float32, descending; 0 where a latent fired on fewer than k images."""
        keys_sk = self._largest.keys
        return torch.from_numpy(np.where(keys_sk == NO_KEY, np.float32(0), values_of_bits(keys_sk >> 32)))

    @property
    def images(self) -> Tensor:
        """(n_latents, k) int64 image ids in the order of `values`; -1 where absent."""
        keys_sk = self._largest.keys
        return torch.from_numpy(np.where(keys_sk == NO_KEY, -1, LAST_ID - (keys_sk & LAST_ID)))

    def state(self) -> dict[str, Tensor]:
        """Keys (n_latents, k) in any order, without a copy."""
        return {"keys": torch.from_numpy(self._largest.unsorted)}

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Add the state of a process that saw other images."""
        self._largest.merge(state["keys"].numpy())


def value_bits(values: Floats) -> NDArray[np.int64]:
    """The bits of floats."""
    return values.view(np.int32).astype(np.int64)


def values_of_bits(bits: NDArray[np.int64]) -> Floats:
    """Inverse of `value_bits`; only the lower half counts."""
    return bits.astype(np.int32).view(np.float32)
