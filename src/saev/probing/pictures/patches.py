"""How well the patches on which a latent fires agree with the patches that have a label.

Shape suffixes: i = pictures, p = patches of one, l = latents, j = labels of patches, k = thresholds, n = active
patches, h = the proposal half and the test half.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from saev.errors import InputError
from saev.latents.codes import Codes, checked_numbers
from saev.latents.encoding import Images
from saev.latents.labels import Labels
from saev.probing.statistics.scores import Counts
from saev.progress import progress_bar
from saev.ranges import Ints
from saev.vit.images.base import NO_LABEL

N_THRESHOLDS: Final = 64
_AT_ONCE: Final = 64
"""Latents whose values are read together: neighbours share blocks of a file."""


@final
@dataclass(frozen=True)
class PatchScores:
    """Latents against labels of patches, on the half on which the thresholds were chosen and on the other one.

    Patches of a picture are no independent observations: use these numbers to describe, not to test.

    Args:
        latents_l: (l,) the latents.
        names: (j,) the labels.
        threshold_lj: (l, j) float32; a patch is active above it.
        proposal: Counts of patches (l, j) of the proposal half at these thresholds.
        test: Likewise of the test half; `test.iou()` and `test.mcc()` are the scores.
    """

    latents_l: Ints
    names: list[str]
    threshold_lj: NDArray[np.float32]
    proposal: Counts
    test: Counts


def patch_scores(
    codes: Codes, labels: Labels, latents: Images, is_test_i: NDArray[np.bool_], *, progress: bool = True
) -> PatchScores:
    """Intersection over union, and other scores, of active patches against the recorded labels of patches.

    For each latent and label the threshold is the one with the best IoU on the proposal half, among 0 and 63 quantiles
    of the latent's values there. Patches without a label are left out.

    Args:
        codes: Of the recording, patches among them.
        labels: Of the same recording.
        latents: (l,) which latents.
        is_test_i: (i,) bool, which pictures are of the test half.
        progress: Whether to show a progress bar.

    Raises:
        InputError: If there is no such latent, the codes or the recording have no patches or labels of them, labels or
            halves are of another recording, a half has no labelled patch, or a file is damaged.
    """
    latents_l = checked_numbers(latents, codes.d_sae, "latents")
    labels_ip = _checked(codes, labels, is_test_i)
    base_hj = np.stack([_base(labels_ip[is_test_i == half], len(labels.patch_names), half) for half in (False, True)])
    found = []
    with progress_bar(total=len(latents_l), desc="patches", unit=" latents", disable=not progress) as bar:
        for first in range(0, len(latents_l), _AT_ONCE):
            columns = codes.of_latents(latents_l[first : first + _AT_ONCE])
            for begin, end in pairwise(columns.indptr.tolist()):
                tokens_n, values_n = columns.indices[begin:end], columns.data[begin:end]
                found.append(_best(_active(codes, labels_ip, is_test_i, tokens_n, values_n), base_hj))
                bar.update()
    shape = (len(found), len(labels.patch_names))
    threshold_lj = np.array([one.threshold_j for one in found], dtype=np.float32).reshape(shape)
    tp_hlj = np.array([one.tp_hj for one in found]).reshape(len(found), 2, shape[1]).swapaxes(0, 1)
    fires_hlj = np.array([one.fires_hj for one in found]).reshape(len(found), 2, shape[1]).swapaxes(0, 1)
    proposal, test = (_counts(*half) for half in zip(tp_hlj, fires_hlj, base_hj, strict=True))
    return PatchScores(latents_l, list(labels.patch_names), threshold_lj, proposal, test)


class _Active(NamedTuple):
    """The labelled patches (n,) on which a latent is active: its values, their labels, whether of the test half."""

    values_n: NDArray[np.float32]
    labels_n: Ints
    test_n: NDArray[np.bool_]


class _Best(NamedTuple):
    """Of each label the best threshold, and of each half the hits and the active patches there."""

    threshold_j: NDArray[np.float32]
    tp_hj: NDArray[np.float64]
    fires_hj: NDArray[np.float64]


def _active(
    codes: Codes,
    labels_ip: NDArray[np.uint8],
    is_test_i: NDArray[np.bool_],
    tokens_n: NDArray[np.integer[Any]],
    values_n: NDArray[np.float32],
) -> _Active:
    images_n, places_n = np.divmod(tokens_n, codes.n_positions)
    patches_n = places_n - codes.spots.patches.start
    inside_n = (patches_n >= 0) & (patches_n < len(codes.spots.patches))
    images_n, patches_n, values_n = images_n[inside_n], patches_n[inside_n], values_n[inside_n]
    labels_n = labels_ip[images_n, patches_n].astype(np.int64)
    known_n = labels_n != NO_LABEL
    return _Active(values_n[known_n], labels_n[known_n], is_test_i[images_n[known_n]])


def _best(active: _Active, base_hj: NDArray[np.float64]) -> _Best:
    own_n = active.values_n[~active.test_n]
    shares = np.linspace(0, 1, N_THRESHOLDS - 1, endpoint=False)
    quantiles = np.quantile(own_n, shares, method="lower") if len(own_n) else np.empty(0)
    threshold_k = np.unique(np.concatenate([[0], quantiles])).astype(np.float32)
    n, n_labels = len(threshold_k), base_hj.shape[1]
    exceeded_n = np.searchsorted(threshold_k, active.values_n, side="left")
    cells_n = (active.test_n * (n + 1) + exceeded_n) * n_labels + active.labels_n
    exactly_hkj = np.bincount(cells_n, minlength=2 * (n + 1) * n_labels).reshape(2, n + 1, n_labels)
    tp_hkj = exactly_hkj[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].astype(np.float64)
    fires_hkj = np.broadcast_to(tp_hkj.sum(axis=2, keepdims=True), tp_hkj.shape)
    best_j = _counts(tp_hkj[0], fires_hkj[0], base_hj[0]).iou().argmax(axis=0)
    labels_j = np.arange(n_labels)
    return _Best(threshold_k[best_j], tp_hkj[:, best_j, labels_j], fires_hkj[:, best_j, labels_j])


def _counts(tp: NDArray[np.float64], fires: NDArray[np.float64], base_j: NDArray[np.float64]) -> Counts:
    """In float64: the product of four counts of patches exceeds every integer."""
    fp = fires - tp
    return Counts(tp=tp, fp=fp, fn=base_j - tp, tn=base_j.sum() - base_j - fp)


def _base(labels_ip: NDArray[np.uint8], n: int, test: bool) -> NDArray[np.float64]:
    """(j,) patches with each label."""
    base_j = np.bincount(labels_ip[labels_ip != NO_LABEL], minlength=n).astype(np.float64)
    if not base_j.any():
        raise InputError(
            f"the {'test' if test else 'proposal'} half has no labelled patch: label or record more pictures"
        )
    return base_j


def _checked(codes: Codes, labels: Labels, is_test_i: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The labels (i, patches)."""
    n_patches = len(codes.spots.patches)
    if not n_patches:
        raise InputError(f"the codes are of {codes.origin.tokens} tokens, no patches: encode content tokens")
    if labels.patch_numbers is None:
        raise InputError("no patch labels were recorded: record pictures with masks (SegmentationFolder)")
    for what, shape, expected in (
        ("patch labels", labels.patch_numbers.shape, (codes.n_images, n_patches)),
        ("halves", is_test_i.shape, (codes.n_images,)),
    ):
        if shape != expected:
            raise InputError(f"{what} of shape {shape} for codes of {expected}: give those of the same recording")
    return labels.patch_numbers
