"""Pictures that are nearly the same, such as frames of a film, or objects before one background.

A picture is the mean of what the SAE makes of its tokens. That is better than a hash of its pixels where the section
differs or an object is in front of the same scene, and comes from codes that are read for heatmaps anyway. All such
means share a large part, and most of what is left lies along one direction (41 % of the variance in DINOv2 ViT-S/14):
they are compared without both.

Shape suffixes: n = images, b = images of a batch, s = d_sae, d = d_in, k = dimensions that are kept.
"""

from collections.abc import Iterator, Sequence
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from typing_extensions import override

from saev.latents.encoding import ImageCodes, Images
from saev.latents.sparse import SparseCodes
from saev.nn import SparseAutoencoder

ALIKE: Final = 0.75
"""Cosine from which on two pictures are nearly the same."""
FEWEST: Final = 64
"""Of fewer pictures it is not known what they share."""
N_KEPT: Final = 128
"""Dimensions of a random projection; it changes a cosine of .75 by .04, rarely more."""
BLOCK: Final = 1024

Floats = NDArray[np.float32]


@final
class SeenCodes(ImageCodes):
    """Codes that remember each image that was asked for, as one point. Memory: 512 bytes an image.

    Args:
        seed: Of the projection.
    """

    def __init__(self, codes: ImageCodes, sae: SparseAutoencoder, seed: int) -> None:
        super().__init__(codes.d_sae, codes.spots, codes.grid)
        self._codes = codes
        w_sd = sae.W_dec.detach().float().cpu().numpy()
        projection_dk = np.random.default_rng(seed).standard_normal((w_sd.shape[1], N_KEPT), dtype=np.float32)
        self._to_point_sk: Floats = w_sd @ (projection_dk / np.float32(np.sqrt(N_KEPT)))
        self._points: dict[int, Floats] = {}

    @override
    def batches(self, images: Images, what: str | None) -> Iterator[tuple[NDArray[np.int64], SparseCodes]]:
        for ids_b, codes in self._codes.batches(images, what):
            new = [row for row, image in enumerate(ids_b.tolist()) if image not in self._points]
            if new:
                self._remember(ids_b[new], codes if len(new) == len(ids_b) else codes.take(np.array(new)))
            yield ids_b, codes

    def _remember(self, ids_b: NDArray[np.int64], codes: SparseCodes) -> None:
        starts_b = codes.starts_r[:: codes.n_positions]
        sums_bs = csr_array((codes.values_n, codes.latents_n, starts_b), shape=(codes.n_images, codes.d_sae))
        points_bk = (sums_bs @ self._to_point_sk) / np.float32(codes.n_positions)
        self._points |= zip(ids_b.tolist(), points_bk, strict=True)

    def alike(self, images: Sequence[int]) -> list[list[int]]:
        """Groups of two or more of these images, as `groups_of` makes them; those that nobody asked for are in none."""
        known = [image for image in sorted(images) if image in self._points]
        if len(known) < FEWEST:
            return []
        numbers_n = groups_of(apart(np.stack([self._points[image] for image in known])))
        order = np.argsort(numbers_n, kind="stable")
        parts = np.split(np.array(known)[order], np.flatnonzero(np.diff(numbers_n[order])) + 1)
        return [part.tolist() for part in parts if len(part) > 1]


def apart(points_nk: Floats) -> Floats:
    """The points (n, k) from their mean, without the direction along which they differ most."""
    centred_nk = points_nk - points_nk.mean(0)
    first_k = np.linalg.eigh(centred_nk.T @ centred_nk)[1][:, -1]
    found: Floats = centred_nk - np.outer(centred_nk @ first_k, first_k)
    return found


def groups_of(points_nk: Floats, alike: float = ALIKE) -> NDArray[np.int64]:
    """(n,) groups of points: each joins the nearest of those before it that began a group, or begins one.

    So all of a group are near its first one, and chains do not join what is different. Of equally near ones the first.

    Args:
        points_nk: The points, seen from their centre.
        alike: Cosine from which on a point is near.

    >>> groups_of(np.array([[1, 0], [0, 1], [1, 0.1], [-1, 0]], np.float32)).tolist()
    [0, 1, 0, 3]
    """
    norms_n1 = np.linalg.norm(points_nk, axis=1, keepdims=True)
    units_nk = points_nk / np.maximum(norms_n1, 1e-30)
    group_n = np.arange(len(units_nk))
    firsts = np.empty(0, dtype=np.int64)
    for start in range(0, len(units_nk), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(units_nk)))
        near = units_nk[block] @ units_nk[firsts].T if len(firsts) else np.full((len(block), 1), -1, np.float32)
        best, whose = near.max(1), (firsts if len(firsts) else block[:1])[near.argmax(1)]
        within = units_nk[block] @ units_nk[block].T
        new: list[int] = []
        for row in range(len(block)):
            own, first = best[row], whose[row]
            if new and (closest := within[row, new].max()) > own:
                own, first = closest, block[new[int(within[row, new].argmax())]]
            if own >= alike:
                group_n[block[row]] = first
            else:
                new.append(row)
        firsts = np.concatenate([firsts, block[new]])
    return group_n
