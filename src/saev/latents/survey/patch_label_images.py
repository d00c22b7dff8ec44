"""In how many images that have patches of a label each latent fires.

Patches of an image are no independent observations, so counts of patches do not tell what is chance; these do.

Shape suffixes: s = d_sae, l = labels, b = images of a batch, c = patches of an image, p = pairs of a latent and an
image on which it fires.
"""

from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from saev.latents.survey.enrichment import Overlaps

CELLS_AT_ONCE: Final = 2**20


@final
class PatchLabelImages:
    """Images by label and latent; an image has as many labels as its patches. Memory: 4 x d_sae x (n_labels + 1) bytes.

    Args:
        d_sae: Number of latents.
        n_labels: Labels, from 0 on.
    """

    def __init__(self, d_sae: int, n_labels: int) -> None:
        self._counts_sl = np.zeros((d_sae, n_labels), dtype=np.int32)
        self._fires_s = np.zeros(d_sae, dtype=np.int32)
        self._base_l = np.zeros(n_labels, dtype=np.int64)
        self._n = np.zeros(1, dtype=np.int64)

    def update(self, labels_bc: NDArray[Any], latents_p: NDArray[np.int64], images_p: NDArray[np.int32]) -> None:
        """Add images that were not seen before.

        Args:
            labels_bc: Labels of their patches, -1 for none.
            latents_p: Latents that fire, ascending.
            images_p: In which of the images they do.
        """
        has_bl = np.zeros((len(labels_bc), len(self._base_l)), dtype=np.int32)
        rows, columns = np.nonzero(labels_bc >= 0)
        has_bl[rows, labels_bc[rows, columns]] = 1
        self._base_l += has_bl.sum(0)
        is_known_b = has_bl.sum(1) > 0
        self._n += np.count_nonzero(is_known_b)
        np.add.at(self._fires_s, latents_p[is_known_b[images_p]], np.int32(1))
        d_sae, n_labels = self._counts_sl.shape
        starts_s = np.searchsorted(latents_p, np.arange(d_sae + 1))
        at_once = max(1, CELLS_AT_ONCE // n_labels)
        for first in range(0, d_sae, at_once):
            starts = starts_s[first : first + at_once + 1]
            images = images_p[starts[0] : starts[-1]]
            fires = csr_array((np.ones_like(images), images, starts - starts[0]), (len(starts) - 1, len(has_bl)))
            self._counts_sl[first : first + at_once] += fires @ has_bl

    @property
    def overlaps(self) -> Overlaps:
        """The counts, not copied."""
        return Overlaps(self._counts_sl, self._fires_s, self._base_l, int(self._n[0]))

    def state(self) -> dict[str, Tensor]:
        """The counts, without copies."""
        arrays = {"counts": self._counts_sl, "fires": self._fires_s, "base": self._base_l, "n": self._n}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def merge(self, state: Mapping[str, Tensor]) -> None:
        """Add the state of a process that saw other images."""
        for name, own in self.state().items():
            own += state[name]
