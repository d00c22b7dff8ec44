"""How often and how strongly each latent fires.

Shape suffixes: s = d_sae.
"""

from collections.abc import Mapping
from typing import final

import numpy as np
import torch
from torch import Tensor

from saev.latents.survey.by_latent import LatentCodes, Pairs


@final
class Moments:
    """Frequencies over tokens and images, mean and largest value. Memory: 28 bytes a latent.

    Args:
        d_sae: Number of latents.
    """

    def __init__(self, d_sae: int) -> None:
        self.n_tokens = 0
        self.n_images = 0
        self._fires_s = np.zeros(d_sae, dtype=np.int64)
        self._images_s = np.zeros(d_sae, dtype=np.int64)
        self._sum_s = np.zeros(d_sae, dtype=np.float64)
        self._max_s = np.zeros(d_sae, dtype=np.float32)

    def update(self, codes: LatentCodes, pairs: Pairs, n_images: int, n_positions: int) -> None:
        """Add the codes of some images, and their pairs."""
        self.n_images += n_images
        self.n_tokens += n_images * n_positions
        if not len(codes.values_n):
            return
        d_sae = len(self._fires_s)
        fires_s = np.diff(codes.starts_s)
        self._fires_s += fires_s
        self._images_s += np.bincount(pairs.latents_p, minlength=d_sae)
        # Not bincount: one value after the other, so that the sums do not depend on how images are divided into parts.
        np.add.at(self._sum_s, codes.latents_n, codes.values_n.astype(np.float64))
        alive = np.flatnonzero(fires_s)
        best = np.maximum.reduceat(codes.values_n, codes.starts_s[alive])
        self._max_s[alive] = np.maximum(self._max_s[alive], best)

    @property
    def fires(self) -> Tensor:
        """(s,) int64 tokens on which each latent fires."""
        return torch.from_numpy(self._fires_s)

    @property
    def image_fires(self) -> Tensor:
        """(s,) int64 images on which each latent fires, at whatever position."""
        return torch.from_numpy(self._images_s)

    @property
    def frequency(self) -> Tensor:
        """(s,) float32 share of the tokens on which each latent fires."""
        return self.fires / max(1, self.n_tokens)

    @property
    def image_frequency(self) -> Tensor:
        """(s,) float32 share of the images on which each latent fires, at whatever position."""
        return self.image_fires / max(1, self.n_images)

    @property
    def mean_value(self) -> Tensor:
        """(s,) float32 mean value where a latent fires; 0 for dead latents."""
        return (torch.from_numpy(self._sum_s) / self.fires.clamp_min(1)).float()

    @property
    def max_value(self) -> Tensor:
        """(s,) float32 largest value."""
        return torch.from_numpy(self._max_s)

    def state(self) -> dict[str, Tensor]:
        """Everything, without copies."""
        return {
            "n": torch.tensor([self.n_tokens, self.n_images]),
            "fires": self.fires,
            "image_fires": self.image_fires,
            "sum": torch.from_numpy(self._sum_s),
            "max": self.max_value,
        }

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Add the state of a process that saw other images."""
        self.n_tokens += int(state["n"][0])
        self.n_images += int(state["n"][1])
        self._fires_s += state["fires"].numpy()
        self._images_s += state["image_fires"].numpy()
        self._sum_s += state["sum"].numpy()
        np.maximum(self._max_s, state["max"].numpy(), out=self._max_s)
