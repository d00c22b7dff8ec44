"""How often and how strongly each latent fires: moments, and histograms on bins common to all.

Shape suffixes: s = d_sae, n = active codes, h = bins, q = percentiles.
"""

from typing import Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.sparse import Floats
from saev.latents.survey.by_latent import LatentCodes, Pairs

PERCENTILES: Final = (5, 25, 50, 75, 95, 99)
_PER_OCTAVE: Final = 8
_OCTAVES: Final = range(-14, 14)
N_BINS: Final = _PER_OCTAVE * len(_OCTAVES)


def _edge_bits() -> NDArray[np.int64]:
    """Upper halves of the bits of the edges as float32: a bin is then found by a look into a small table."""
    exponents = _OCTAVES.start + np.arange(N_BINS + 1) / _PER_OCTAVE
    bits = np.exp2(exponents).astype(np.float32).view(np.int32).astype(np.int64)
    rounded: NDArray[np.int64] = (bits + 2**15) >> 16
    return rounded


def _bin_of_bits() -> NDArray[np.int16]:
    """The bin of each upper half of the bits of a positive float32."""
    found = np.searchsorted(_edge_bits(), np.arange(2**15), side="right") - 1
    return found.clip(0, N_BINS - 1).astype(np.int16)


EDGES: Final[NDArray[np.float32]] = (_edge_bits() << 16).astype(np.int32).view(np.float32)
"""(h + 1,) edges of the bins: eighths of an octave from 2^-14 to 2^14, rounded to 8 significant bits. A value on an
edge counts in the bin above; what lies outside counts in the first or last bin."""

N_QUARTERS: Final = N_BINS // 2
"""Bins of a quarter of an octave, whose edges are `EDGES[::2]`."""
ERROR: Final = float(np.sqrt(EDGES[1:].astype(np.float64) / EDGES[:-1]).max() - 1)
"""Largest relative error of a percentile between the first and the last edge: 0.046."""


_BINS: Final = _bin_of_bits()


def bins_of(values: Floats) -> NDArray[np.int16]:
    """The bin of each value above zero."""
    found: NDArray[np.int16] = _BINS[values.view(np.int32) >> 16]
    return found


@final
class Moments:
    """Frequencies over tokens and images, mean and largest value. Memory: 28 bytes a latent."""

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

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self.n_tokens += other.n_tokens
        self.n_images += other.n_images
        self._fires_s += other._fires_s
        self._images_s += other._images_s
        self._sum_s += other._sum_s
        np.maximum(self._max_s, other._max_s, out=self._max_s)


@final
class ValueHistogram:
    """Histograms of the values above zero. Memory: 8 x `N_BINS` = 1,792 bytes a latent."""

    def __init__(self, d_sae: int) -> None:
        self._counts_sh = np.zeros((d_sae, N_BINS), dtype=np.int64)

    def update(self, codes: LatentCodes) -> None:
        """Add active codes."""
        np.add.at(self._counts_sh.reshape(-1), codes.latents_n * N_BINS + bins_of(codes.values_n), 1)

    @property
    def counts(self) -> Tensor:
        """(s, h) int64 values in each bin, see `EDGES`."""
        return torch.from_numpy(self._counts_sh)

    def percentiles(self) -> Tensor:
        """(s, q) float32: the smallest value that at least `PERCENTILES` percent don't exceed; 0 for dead latents.

        What is given is the geometric mean of the edges of that value's bin. It is off by a share of `ERROR` at most,
        except for values beyond the edges, which are said to be in the first or last bin.
        """
        upto_sh = self._counts_sh.cumsum(1)
        middles_h = np.sqrt(EDGES[1:].astype(np.float64) * EDGES[:-1]).astype(np.float32)
        found_sq = np.zeros((len(upto_sh), len(PERCENTILES)), dtype=np.float32)
        for column, percent in enumerate(PERCENTILES):
            ranks_s = np.maximum(-(-percent * upto_sh[:, -1:] // 100), 1)
            found_sq[:, column] = middles_h[(upto_sh < ranks_s).sum(1).clip(0, N_BINS - 1)]
        found_sq[upto_sh[:, -1] == 0] = 0
        return torch.from_numpy(found_sq)

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._counts_sh += other._counts_sh
