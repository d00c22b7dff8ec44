"""Where in pictures each latent fires: its mean activation at each patch position.

Shape suffixes: s = d_sae, p = patches of the grid (h, w), n = active codes.
"""

from collections.abc import Callable
from typing import Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.sparse import Spots
from saev.latents.survey.by_latent import LatentCodes, Pairs

MAX_PLACE_BYTES: Final = 2**30
CELLS_AT_ONCE: Final = 2**20
_MOST: Final = np.finfo(np.float32).max


@final
class PlaceSums:
    """Sums of the values of each latent by patch position, over images. Memory: `place_bytes`.

    Args:
        grid: Patches of an image (h, w).
    """

    def __init__(self, d_sae: int, grid: tuple[int, int]) -> None:
        self.grid = grid
        self._sums_sp = np.zeros((d_sae, grid[0] * grid[1]), dtype=np.float32)
        self._fires_s = np.zeros(d_sae, dtype=np.int64)
        self._images_s = np.zeros(d_sae, dtype=np.int64)
        self._n_images = 0

    @staticmethod
    def fits(d_sae: int, grid: tuple[int, int]) -> bool:
        """Whether the sums stay within `MAX_PLACE_BYTES`."""
        return place_bytes(d_sae, grid) <= MAX_PLACE_BYTES

    def update(self, codes: LatentCodes, pairs: Pairs, spots: Spots, n_images: int) -> None:
        """Add the codes of some images, and their pairs; `spots` says which positions are patches."""
        d_sae, n_patches = self._sums_sp.shape
        self._n_images += n_images
        inside_n = codes.within(spots.patches, n_images, spots.n_positions)
        latents_n, images_n, values_n = codes.latents_n[inside_n], codes.images_n[inside_n], codes.values_n[inside_n]
        patches_n = codes.tokens_n[inside_n] - images_n * np.int32(spots.n_positions) - np.int32(spots.patches.start)
        with np.errstate(over="ignore"):  # `means` bounds what exceeds float32
            np.add.at(self._sums_sp.reshape(-1), latents_n * n_patches + patches_n, values_n)
        self._fires_s += np.bincount(latents_n, minlength=d_sae)
        self._images_s += np.bincount(pairs.latents_p[pairs.best_p > 0], minlength=d_sae)

    @property
    def means(self) -> Tensor:
        """(s, p) float32 mean activation at each patch position, over all images; 0 where a latent is silent."""
        return self.mean(slice(None))

    def mean(self, latents: int | slice) -> Tensor:
        """Row (p,), or rows, of `means`."""
        n_images = np.float32(max(1, self._n_images))
        return torch.from_numpy(np.minimum(self._sums_sp[latents], _MOST) / n_images)

    @property
    def image_fires(self) -> Tensor:
        """(s,) int64 images on a patch of which each latent fires."""
        return torch.from_numpy(self._images_s)

    @property
    def patches_per_image(self) -> Tensor:
        """(s,) float32 patches on which a latent fires in an image, on average over those where it does; 0 for none."""
        return torch.from_numpy(self._fires_s / np.maximum(self._images_s, 1)).float()

    @property
    def border_share(self) -> Tensor:
        """(s,) float32 share of a latent's activation on the outermost ring of patches; 0 if it fires on none."""
        outer_p = border(self.grid)
        return self._of_shares(lambda m_sp: m_sp[:, outer_p].sum(1))

    @property
    def extent(self) -> Tensor:
        r"""(s,) float32 spatial extent: the effective share of the grid on which a latent fires.

        It is :math:`\exp(-\sum_i m_i \ln m_i)` of the shares :math:`m_i` of its mean activation by position, over the
        number of positions: 1 if they are all alike, small if it fires at one place alone, 0 if it is silent.
        """
        return self._of_shares(_extent)

    @property
    def border_of_grid(self) -> float:
        """Share of the patches on the outermost ring."""
        return float(border(self.grid).mean())

    def _of_shares(self, measure: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Tensor:
        """(s,) a measure of the shares of the positions in each latent's activation, a block of latents at a time."""
        d_sae, n_patches = self._sums_sp.shape
        found_s = np.zeros(d_sae, dtype=np.float32)
        for start in range(0, d_sae, step := max(1, CELLS_AT_ONCE // n_patches)):
            block_sp = np.minimum(self._sums_sp[start : start + step], _MOST).astype(np.float64)
            block_sp /= np.maximum(block_sp.sum(1, keepdims=True), 1e-300)
            found_s[start : start + step] = measure(block_sp)
        found_s[self._images_s == 0] = 0
        return torch.from_numpy(found_s)

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        with np.errstate(over="ignore"):
            self._sums_sp += other._sums_sp
        self._fires_s += other._fires_s
        self._images_s += other._images_s
        self._n_images += other._n_images


def place_bytes(d_sae: int, grid: tuple[int, int]) -> int:
    """Bytes of the sums."""
    return d_sae * (4 * grid[0] * grid[1] + 16)


def border(grid: tuple[int, int]) -> NDArray[np.bool_]:
    """(p,) whether each patch is on the outermost ring of the grid."""
    outer = np.ones(grid, dtype=np.bool_)
    outer[1:-1, 1:-1] = False
    return outer.reshape(-1)


def _extent(m_sp: NDArray[np.float64]) -> NDArray[np.float64]:
    entropy_s = -(m_sp * np.log(np.where(m_sp > 0, m_sp, 1))).sum(1)
    extent_s: NDArray[np.float64] = np.exp(entropy_s) / m_sp.shape[1]
    return extent_s
