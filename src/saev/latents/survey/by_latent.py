"""The same active codes latent after latent, and what they come to in each image.

Shape suffixes: s = d_sae, n = active codes, p = pairs of a latent and an image on which it fires.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from saev.latents.sparse import Floats, SparseCodes, Spots


@final
@dataclass(frozen=True)
class LatentCodes:
    """Active codes sorted by latent, then image, then position."""

    starts_s: NDArray[np.int32]  # int32 (s + 1,), where the entries of each latent begin, and the end.
    latents_n: NDArray[np.int64]  # int64, the latent of each entry.
    tokens_n: NDArray[np.int32]
    """int32, its token: the row of the image in the batch times n_positions, plus the position."""
    images_n: NDArray[np.int32]  # int32, the row of its image.
    values_n: Floats  # float32.

    @classmethod
    def of(cls, codes: SparseCodes) -> "LatentCodes":
        """By a counting sort."""
        columns = codes.matrix.tocsc()
        latents_n = np.repeat(np.arange(codes.d_sae), np.diff(columns.indptr))
        images_n = columns.indices // np.int32(codes.n_positions)
        return cls(columns.indptr, latents_n, columns.indices, images_n, columns.data)

    def within(self, spots: range, n_images: int, n_positions: int) -> NDArray[np.bool_]:
        """(n,) whether the position of each entry is in a range."""
        inside_t = np.zeros(n_positions, dtype=np.bool_)
        inside_t[spots.start : spots.stop] = True
        # A look into a small table is cheaper than the remainder.
        inside_n: NDArray[np.bool_] = np.tile(inside_t, n_images)[self.tokens_n]
        return inside_n


@final
@dataclass(frozen=True)
class Pairs:
    """Latents and images on which they fire, sorted by latent, then image."""

    latents_p: NDArray[np.int64]  # int64.
    images_p: NDArray[np.int32]  # int32, rows in the batch.
    best_p: Floats  # float32, the largest value at the ranked positions; 0 if there is none.
    sums_p: Floats  # float32, the sum over these, added up as float64 in the order of the positions.

    @classmethod
    def of(cls, codes: LatentCodes, spots: Spots, n_images: int) -> "Pairs":
        """Of all entries, whatever their position."""
        if not len(codes.values_n):
            return cls(codes.latents_n, codes.images_n, codes.values_n, codes.values_n)
        values_n, ranked = codes.values_n, spots.ranked
        if len(ranked) < spots.n_positions:
            values_n = np.where(codes.within(ranked, n_images, spots.n_positions), values_n, np.float32(0))
        is_first_n = np.ones(len(values_n), dtype=np.bool_)
        np.not_equal(codes.images_n[1:], codes.images_n[:-1], out=is_first_n[1:])
        is_first_n[1:] |= codes.latents_n[1:] != codes.latents_n[:-1]
        first_p = np.flatnonzero(is_first_n)
        best_p: Floats = np.maximum.reduceat(values_n, first_p)
        # Not add.reduceat: in which order that adds is not promised, and the sum must not depend on the batch.
        sums_p = np.bincount(np.cumsum(is_first_n) - 1, weights=values_n)
        bounded_p: Floats = np.minimum(sums_p, np.finfo(np.float32).max).astype(np.float32)
        return cls(codes.latents_n[first_p], codes.images_n[first_p], best_p, bounded_p)
