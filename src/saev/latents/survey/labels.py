"""Which labels the images or tokens have on which a latent fires.

Shape suffixes: s = d_sae, l = labels, p = pairs of a latent and an image or token, i = images or tokens, a = some
latents.
"""

from copy import copy
from typing import Any, Final, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.errors import InputError

MAX_LABEL_BYTES: Final = 2**30


@final
class LabelCounts:
    """How many images, or tokens, of each label each latent fires on. Memory: 4 x d_sae x n_labels bytes.

    What has no label (-1) is left out everywhere: of the rest alone are purities shares, and base rates.

    Args:
        n_labels: Labels, from 0 on.

    Raises:
        InputError: If that takes more than `MAX_LABEL_BYTES`; see `fits`.
    """

    def __init__(self, d_sae: int, n_labels: int) -> None:
        if not self.fits(d_sae, n_labels):
            raise InputError(
                f"{n_labels:,} labels of {d_sae:,} latents take {label_bytes(d_sae, n_labels):,} bytes, "
                f"more than {MAX_LABEL_BYTES:,}"
            )
        self._counts_sl = np.zeros((d_sae, n_labels), dtype=np.int32)
        self._base_l = np.zeros(n_labels, dtype=np.int64)

    @staticmethod
    def fits(d_sae: int, n_labels: int) -> bool:
        """Whether the counts stay within the bound."""
        return label_bytes(d_sae, n_labels) <= MAX_LABEL_BYTES

    def update(self, labels_i: NDArray[Any], latents_p: NDArray[np.int64], labels_p: NDArray[Any]) -> None:
        """Add labels of images or tokens, -1 for none.

        Args:
            labels_i: Those of all images, or tokens.
        """
        n_labels = len(self._base_l)
        known_i = labels_i[labels_i >= 0].astype(np.int64)
        assert not len(known_i) or known_i.max() < n_labels, f"label {known_i.max()} of {n_labels}"
        self._count(np.bincount(known_i, minlength=n_labels))
        places = (latents_p * n_labels + labels_p)[labels_p >= 0]
        np.add.at(self._counts_sl.reshape(-1), places, np.int32(1))

    @property
    def counts(self) -> Tensor:
        """(s, l) int32 images, or tokens, with the label on which the latent fires."""
        return torch.from_numpy(self._counts_sl)

    @property
    def base_counts(self) -> Tensor:
        """(l,) int64 images, or tokens, with the label."""
        return torch.from_numpy(self._base_l)

    def part(self, labels: range) -> "LabelCounts":
        """The counts of some labels that follow each other as those of a table of their own, not copied."""
        found = copy(self)
        found._counts_sl = self._counts_sl[:, labels.start : labels.stop]
        found._base_l = self._base_l[labels.start : labels.stop]
        return found

    def purity(self, latents_a: Tensor) -> Tensor:
        """(a, l) float32: of the labelled images, or tokens, on which the latent fires, the share with the label."""
        counts_al = self.counts[latents_a].double()
        return (counts_al / counts_al.sum(1, keepdim=True).clamp_min(1)).float()

    def merge(self, other: Self) -> None:
        """Add what was found on other images."""
        self._count(other._base_l)
        self._counts_sl += other._counts_sl

    def _count(self, base_l: NDArray[np.int64]) -> None:
        """Add to the base counts, which bound the others."""
        self._base_l += base_l
        if self._base_l.sum() >= 2**31:
            raise InputError(f"more than {2**31 - 1:,} labels cannot be counted: look at fewer images")


def label_bytes(d_sae: int, n_labels: int) -> int:
    """Bytes of the counts."""
    return 4 * d_sae * n_labels
