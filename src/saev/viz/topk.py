"""The images on which each latent is strongest, kept exactly in bounded memory.

Shapes: B images of a batch, S latents (d_sae), K images kept.

A value and its image id are packed into one integer: the bits of a positive float32 grow with the float, so
`bits << 32 | (2^32 - 1 - id)` sorts by value first and by lower id second. Keys are unique, which makes one
`torch.topk` exact where a sort of floats would leave ties to chance.
"""

from typing import final

import torch
from torch import Tensor

_LAST_ID = 2**32 - 1


@final
class TopImages:
    """The `k` strongest images of every latent, ties going to the lower image id.

    Each image is given once. Memory: 8 bytes x n_latents x k for good, and during an update
    8 bytes x n_latents x (2k + 2B) besides.

    >>> top = TopImages(n_latents=1, k=2)
    >>> top.update(torch.tensor([[1.0], [0.0], [3.0]]), torch.tensor([7, 8, 9]))
    >>> top.values.tolist(), top.images.tolist()
    ([[3.0, 1.0]], [[9, 7]])
    """

    def __init__(self, n_latents: int, k: int, device: torch.device | str = "cpu") -> None:
        assert n_latents >= 1, f"n_latents {n_latents} < 1"
        assert k >= 1, f"k {k} < 1"
        self._keys_sk = torch.zeros((n_latents, k), dtype=torch.int64, device=device)

    def update(self, values: Tensor, image_ids: Tensor) -> None:
        """Offer a batch of images.

        Args:
            values: (B, n_latents), finite; what is not above zero is absent. Compared as float32.
            image_ids: (B,) integers from 0 to 2^32 - 1, none of them seen before.
        """
        n_latents, k = self._keys_sk.shape
        assert values.shape == (len(image_ids), n_latents), f"{tuple(values.shape)} for {n_latents} latents"
        assert bool(torch.isfinite(values).all()), "values must be finite"
        image_ids = image_ids.to(self._keys_sk.device, torch.int64)
        assert bool(((image_ids >= 0) & (image_ids <= _LAST_ID)).all()), "image ids must fit 32 bits"
        keys_bs = _pack(values.to(self._keys_sk.device), image_ids)
        self._keys_sk = torch.cat([self._keys_sk, keys_bs.T], dim=1).topk(k, dim=1, sorted=True).values

    @property
    def values(self) -> Tensor:
        """(n_latents, k) float32, descending; 0 where a latent fired on fewer than k images."""
        return (self._keys_sk >> 32).to(torch.int32).view(torch.float32)

    @property
    def images(self) -> Tensor:
        """(n_latents, k) int64 image ids in the order of `values`; -1 where absent."""
        ids_sk = _LAST_ID - (self._keys_sk & _LAST_ID)
        return torch.where(self._keys_sk > 0, ids_sk, -1)


def _pack(values_bs: Tensor, ids_b: Tensor) -> Tensor:
    bits_bs = values_bs.to(torch.float32).contiguous().view(torch.int32).to(torch.int64)
    keys_bs = (bits_bs << 32) | (_LAST_ID - ids_b)[:, None]
    return torch.where(values_bs.to(torch.float32) > 0, keys_bs, 0)
