"""Whether a latent says more of an attribute than the class of a picture does.

Shape suffixes: i = pictures, j = attributes.
"""

import numpy as np
from scipy.sparse import csc_array

from saev.probing.candidates.scoring import Scored
from saev.probing.statistics.all_latents import latent_scores
from saev.probing.statistics.arrays import Floats, Integers


def class_mcc(scored: Scored, class_i: Integers, column: str | None = None) -> Floats:
    """(j,) the best MCC of each attribute's best latent once a picture's value is the mean of its class.

    NaN for the classes themselves, for numbers, and where pictures have fewer than two classes. A latent that is a
    proxy of a class does as well without its own values.

    Args:
        scored: What was found.
        class_i: The class of each picture of the proposal half, -1 for none.
        column: Of the table that says it; None for the recorded labels.
    """
    found = np.full(len(scored.every), np.nan)
    known_i = np.flatnonzero(class_i >= 0)
    if len(np.unique(class_i[known_i])) < 2:
        return found
    size_c = np.bincount(class_i[known_i])
    for j, latent in enumerate(scored.best()[: len(scored.attributes.binary)].tolist()):
        attribute = scored.attributes.binary[j]
        if (attribute.source, attribute.family) == (("metadata", column) if column else ("label", "label")):
            continue
        value_i = scored.pooled_il[:, [latent]].toarray()[known_i, 0]
        mean_c = np.bincount(class_i[known_i], weights=value_i) / np.maximum(size_c, 1)
        scores = latent_scores(csc_array(mean_c[class_i[known_i]][:, None]), scored.labels(j)[known_i][:, None])
        found[j] = float((scores.mcc if scored.effect_lj[latent, j] > 0 else -scores.lowest_mcc)[0, 0])
    return found
