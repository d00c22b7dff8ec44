"""Candidates beside masks: how well active patches agree with the patches that have the label.

Shape suffixes: i = pictures, r = rows of the table.
"""

import numpy as np
from numpy.typing import NDArray

from saev.latents.codes import Codes
from saev.latents.labels import Labels
from saev.probing.candidates.scoring import Scored
from saev.probing.candidates.table import Rows
from saev.probing.pictures.patches import patch_scores
from saev.probing.statistics.arrays import Bools


def patch_columns(
    codes: Codes, labels: Labels, is_test_i: Bools, scored: Scored, rows: Rows
) -> dict[str, NDArray[np.float32]]:
    """IoU of active patches with those of the label (r,), on the proposal half, and the threshold of a patch for it.

    NaN where the attribute is no label of patches; nothing where none of them is, or the codes are not of patches.
    """
    names = {j: one.name for j, one in enumerate(scored.attributes.binary) if one.source == "patch"}
    is_own_r = np.isin(rows.attribute_r, list(names))
    if not is_own_r.any() or not len(codes.spots.patches):
        return {}
    latents, place_r = np.unique(rows.latent_r[is_own_r], return_inverse=True)
    found = patch_scores(codes, labels, latents, is_test_i)
    label_r = np.array([found.names.index(names[j]) for j in rows.attribute_r[is_own_r].tolist()])
    columns = {name: np.full(len(is_own_r), np.nan, np.float32) for name in ("iou", "iou_threshold")}
    columns["iou"][is_own_r] = found.proposal.iou()[place_r, label_r]
    columns["iou_threshold"][is_own_r] = found.threshold_lj[place_r, label_r]
    return columns
