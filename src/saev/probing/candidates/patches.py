"""All latents beside masks: how well active patches agree with the patches that have a label.

Shape suffixes: i = pictures, l = latents, j = attributes.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from saev.latents.codes import Codes
from saev.latents.labels import Labels
from saev.probing.candidates.scoring import Scored
from saev.probing.pictures.patches import patch_scores
from saev.probing.statistics.arrays import Bools


class Overlap(NamedTuple):
    """Each (l, j) float32, NaN where the attribute is no label of patches.

    Args:
        iou: Of active patches with those of the label, on the proposal half.
        threshold: A patch is active above it.
    """

    iou: NDArray[np.float32]
    threshold: NDArray[np.float32]


def overlap(codes: Codes, labels: Labels, is_test_i: Bools, scored: Scored) -> Overlap | None:
    """How well latents agree with labels of patches; None where none is compared, or the codes are not of patches.

    All latents are looked at: one that follows a mask need not be among the best that say whether a picture has it.

    Raises:
        InputError: If a file is damaged.
    """
    names = [one.name for one in scored.every if one.source == "patch"]
    if not names or not len(codes.spots.patches):
        return None
    found = patch_scores(codes, labels, range(codes.d_sae), is_test_i)
    columns = [j for j, one in enumerate(scored.every) if one.source == "patch"]
    places = [found.names.index(name) for name in names]
    made = Overlap(*(np.full(scored.effect_lj.shape, np.nan, np.float32) for _ in range(2)))
    made.iou[:, columns] = found.proposal.iou()[:, places]
    made.threshold[:, columns] = found.threshold_lj[:, places]
    return made
