"""In how many images that have patches of a label each latent fires.

Patches of an image are no independent observations, so counts of patches do not tell what is chance; these do.

Shape suffixes: s = d_sae, l = labels, b = images of a batch, c = patches of an image, p = pairs of a latent and an
image on which it fires, n = pairs of such a pair and a label.
"""

from collections.abc import Mapping
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.latents.survey.enrichment import Overlaps
from saev.ranges import numbered_ranges

PAIRS_AT_ONCE: Final = 2**14


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
            latents_p: Latents that fire.
            images_p: In which of the images they do.
        """
        n_labels = len(self._base_l)
        has_bl = np.zeros((len(labels_bc), n_labels), dtype=np.bool_)
        rows, columns = np.nonzero(labels_bc >= 0)
        has_bl[rows, labels_bc[rows, columns]] = True
        self._base_l += has_bl.sum(0)
        n_labels_b = has_bl.sum(1)
        self._n += np.count_nonzero(n_labels_b)
        firsts_b, labels_of_all = n_labels_b.cumsum() - n_labels_b, np.nonzero(has_bl)[1]
        for start in range(0, len(latents_p), PAIRS_AT_ONCE):
            part = slice(start, start + PAIRS_AT_ONCE)
            latents, images = latents_p[part], images_p[part]
            np.add.at(self._fires_s, latents[n_labels_b[images] > 0], np.int32(1))
            pairs_n, places_n = numbered_ranges(firsts_b[images], n_labels_b[images])
            places = latents[pairs_n] * n_labels + labels_of_all[places_n]
            np.add.at(self._counts_sl.reshape(-1), places, np.int32(1))

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
