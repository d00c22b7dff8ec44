"""Whether latents fire at the boundaries of masks more than inside of them.

Shape suffixes: s = d_sae, l = labels, b = images of a batch, p = patches of the grid (h, w), r = positions of all
images, n = active codes.
"""

from typing import Any, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.survey.by_latent import LatentCodes


@final
class BoundaryCounts:
    """On how many labelled patches at a boundary each latent fires. Memory: 8 bytes a latent.

    A boundary lies between patches beside each other, in a row or a column, of which one has another label, or none.
    """

    def __init__(self, d_sae: int, n_labels: int) -> None:
        self._counts_s = np.zeros(d_sae, dtype=np.int64)
        self._base_l = np.zeros(n_labels, dtype=np.int64)

    def update(self, codes: LatentCodes, labels_r: NDArray[Any], at_boundary_r: NDArray[np.bool_]) -> None:
        """Add images that were not seen before.

        Args:
            labels_r: The label of each position, -1 for none.
            at_boundary_r: Which of these are patches at a boundary.
        """
        counts_r = at_boundary_r & (labels_r >= 0)
        self._base_l += np.bincount(labels_r[counts_r], minlength=len(self._base_l))
        self._counts_s += np.bincount(codes.latents_n[counts_r[codes.tokens_n]], minlength=len(self._counts_s))

    @property
    def counts(self) -> Tensor:
        """(s,) int64 labelled patches at a boundary on which each latent fires."""
        return torch.from_numpy(self._counts_s)

    @property
    def base_counts(self) -> Tensor:
        """(l,) int64 patches at a boundary, by their own label."""
        return torch.from_numpy(self._base_l)

    def shares(self, counts_sl: Tensor, base_l: Tensor) -> tuple[Tensor, Tensor]:
        """How much of what a latent fires on is at a boundary, and how much of the same labels is anyway.

        Small things are nearly all boundary, so the second number is what the first one is compared with.

        Args:
            counts_sl: (s, l) labelled patches on which each latent fires, `LabelCounts.counts`.
            base_l: (l,) labelled patches, `LabelCounts.base_counts`.

        Returns:
            (s,) float32 each; 0 for a latent that fires on no labelled patch.
        """
        fires_s = counts_sl.sum(1).clamp_min(1)
        expected_s = counts_sl.double() @ (self.base_counts / base_l.clamp_min(1)).double() / fires_s
        return (self.counts / fires_s).float(), expected_s.float()

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._counts_s += other._counts_s
        self._base_l += other._base_l


def boundaries(labels_bp: NDArray[Any], grid: tuple[int, int]) -> NDArray[np.bool_]:
    """(b, p) whether a patch has a neighbour in its row or column with another label.

    >>> boundaries(np.array([[0, 0, 0, 1]]), (1, 4)).tolist()
    [[False, False, True, True]]
    """
    labels = labels_bp.reshape(-1, *grid)
    found = np.zeros(labels.shape, dtype=np.bool_)
    for here, there in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(None), slice(None), slice(1, None)), (slice(None), slice(None), slice(None, -1))),
    ):
        differs = labels[here] != labels[there]
        found[here] |= differs
        found[there] |= differs
    return found.reshape(labels_bp.shape)
