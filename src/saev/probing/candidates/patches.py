"""All latents beside masks: how well active patches agree with the patches that have a label, on the proposal half.

Patches of a picture are no independent observations: these numbers describe, and test nothing.

Shape suffixes: i = pictures, p = patches of one, l = latents, j = attributes, or labels of patches, k = thresholds, n =
active patches.
"""

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from saev.latents.codes import Codes
from saev.latents.labels import Labels
from saev.probing.candidates.scoring import Scored
from saev.probing.statistics.arrays import Bools, Floats, Integers
from saev.probing.statistics.scores import ratio
from saev.progress import progress_bar
from saev.vit.images.base import NO_LABEL

N_THRESHOLDS: Final = 64
_AT_ONCE: Final = 64
"""Latents whose values are read together: neighbours share blocks of a file."""


class Overlap(NamedTuple):
    """Each (l, j) float32, NaN where the attribute is no label of patches."""

    iou: NDArray[np.float32]  # Of active patches with those of the label, on the proposal half.
    threshold: NDArray[np.float32]  # A patch is active above it.


def overlap(codes: Codes, labels: Labels, is_test_i: Bools, scored: Scored) -> Overlap | None:
    """How well latents agree with labels of patches; None where none is compared, or the codes are not of patches.

    All latents are looked at: one that follows a mask need not be among the best that say whether a picture has it.

    Raises:
        InputError: If a file is damaged.
    """
    columns = [j for j, one in enumerate(scored.every) if one.source == "patch"]
    if not columns or not len(codes.spots.patches):
        return None
    found = best_ious(codes, labels, is_test_i)
    places = [list(labels.patch_names).index(scored.every[j].name) for j in columns]
    made = Overlap(*(np.full(scored.effect_lj.shape, np.nan, np.float32) for _ in found))
    for of_all, own in zip(made, found, strict=True):
        of_all[:, columns] = own[:, places]
    return made


def best_ious(codes: Codes, labels: Labels, is_test_i: Bools) -> Overlap:
    """The intersection over union of each latent's active patches with each recorded label of patches.

    The threshold is the one with the best IoU on the proposal half, among 0 and 63 quantiles of the latent's values
    there. Patches without a label are left out.

    Args:
        codes: Of the recording, patches among them.
        labels: Of the same recording, patches among them.
        is_test_i: (i,) bool, which pictures are of the test half.

    Raises:
        InputError: If a file is damaged.
    """
    assert labels.patch_numbers is not None, "there are labels of patches"
    labels_ip = np.where(is_test_i[:, None], NO_LABEL, labels.patch_numbers)
    assert labels_ip.shape == (codes.n_images, len(codes.spots.patches)), "they are of one recording"
    base_j = np.bincount(labels_ip[labels_ip != NO_LABEL], minlength=len(labels.patch_names))
    found = Overlap(*np.empty((2, codes.d_sae, len(base_j)), np.float32))
    with progress_bar(total=codes.d_sae, desc="patches", unit=" latents") as bar:
        for first in range(0, codes.d_sae, _AT_ONCE):
            columns = codes.of_latents(np.arange(first, min(first + _AT_ONCE, codes.d_sae)))
            for latent, (begin, end) in enumerate(pairwise(columns.indptr.tolist()), first):
                images_n, places_n = np.divmod(columns.indices[begin:end], codes.n_positions)
                patches_n = places_n - codes.spots.patches.start
                is_patch_n = (patches_n >= 0) & (patches_n < len(codes.spots.patches))
                labels_n = np.full(end - begin, NO_LABEL)
                labels_n[is_patch_n] = labels_ip[images_n[is_patch_n], patches_n[is_patch_n]]
                known_n = labels_n != NO_LABEL
                own = _best(columns.data[begin:end][known_n], labels_n[known_n], base_j)
                found.iou[latent], found.threshold[latent] = own
                bar.update()
    return found


def _best(values_n: NDArray[np.float32], labels_n: Integers, base_j: Integers) -> tuple[Floats, NDArray[np.float32]]:
    """The best IoU of each label (j,), and its threshold."""
    shares = np.linspace(0, 1, N_THRESHOLDS - 1, endpoint=False)
    quantiles = np.quantile(values_n, shares, method="lower") if len(values_n) else np.empty(0)
    threshold_k = np.unique(np.concatenate([[0], quantiles])).astype(np.float32)
    shape = len(threshold_k) + 1, len(base_j)
    exceeded_n = np.searchsorted(threshold_k, values_n, side="left")
    exactly_kj = np.bincount(exceeded_n * len(base_j) + labels_n, minlength=shape[0] * shape[1]).reshape(shape)
    hits_kj = exactly_kj[::-1].cumsum(axis=0)[::-1][1:]
    iou_kj = ratio(hits_kj, hits_kj.sum(axis=1, keepdims=True) + base_j - hits_kj)
    best_j = iou_kj.argmax(axis=0)
    return iou_kj[best_j, np.arange(len(base_j))], threshold_k[best_j]
