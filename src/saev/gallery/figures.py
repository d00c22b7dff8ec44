"""What tells latents of many pictures from those of one, by the survey of an SAE.

Shape suffixes: s = d_sae.
"""

import numpy as np

from saev.gallery.data import Floats
from saev.latents.survey import LatentSurvey


def top_ratio(survey: LatentSurvey) -> Floats:
    """(s,) the largest value in a picture over the second largest one in another; 0 where a latent has no two."""
    first_s2 = survey.top["patch"].values.numpy()[:, :2].astype(np.float64)
    if first_s2.shape[1] < 2:
        return np.zeros(len(first_s2))
    return np.where(first_s2[:, 1] > 0, first_s2[:, 0] / np.where(first_s2[:, 1] > 0, first_s2[:, 1], 1), 0.0)


def spread(survey: LatentSurvey) -> Floats:
    r"""(s,) pictures on which each latent fires, counted by strength, between 1 and the pictures on which it fires.

    .. math:: \left(\sum_i v_i\right)^2 / \sum_i v_i^2

    for its largest values v in pictures: n if n pictures have the same value, near 1 if one outshines the others. Where
    only a random choice of pictures is kept, it is scaled up to all of them.
    """
    ids_i, values = survey.image_values.table()
    values = values.astype(np.float64)
    sums_s, squares_s = np.asarray(values.sum(0)).ravel(), np.asarray((values**2).sum(0)).ravel()
    scale = survey.moments.n_images / max(1, len(ids_i))
    return scale * sums_s**2 / np.where(squares_s > 0, squares_s, 1)
