"""Where a latent counts as firing, chosen on the proposal half.

Shape suffixes: i = pictures, l = latents of a hypothesis.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.hypotheses.coalitions import joined
from saev.probing.hypotheses.hypothesis import Claim, Hypothesis
from saev.shards.format.strict_json import located


def median_threshold(values_i: NDArray[np.floating[Any]]) -> float:
    """A threshold that the upper half of a latent's positive values exceeds, for a claim without labels.

    A threshold of 0 would say nothing of a latent that fires a little everywhere, which most do when the largest of a
    picture's codes counts. The threshold lies between two values, so that at least half of the positive ones exceed it
    where many are equal.

    Args:
        values_i: Its pooled values on the proposal half, none below 0.

    Raises:
        InputError: If it never fires there.

    >>> median_threshold(np.array([0, 0, 1, 2, 3, 4.0]))
    2.5
    >>> median_threshold(np.array([0, 1, 1, 1.0]))
    0.5
    """
    positive_i = np.sort(values_i[values_i > 0]).astype(np.float64)
    if not len(positive_i):
        raise InputError("the latent never fires on the proposal half: there is nothing to test")
    middle = positive_i[len(positive_i) // 2]
    below_i = positive_i[positive_i < middle]
    return float(middle + (below_i[-1] if len(below_i) else 0.0)) / 2


def best_threshold(
    values_i: NDArray[np.floating[Any]], y_i: NDArray[np.integer[Any]], claim: Claim = "fires on"
) -> float:
    """The threshold at which a latent agrees best with labels, by MCC.

    Args:
        values_i: Its pooled values on the proposal half, none below 0.
        y_i: Whether a picture has the attribute: 1 yes, 0 no, -1 unknown.
        claim: "does not fire on" agrees where the attribute is not.

    Raises:
        InputError: Not both labels occur, or the latent never fires on a labelled picture.

    >>> best_threshold(np.array([0, 1, 2, 3.0]), np.array([0, 0, 1, 1]))
    1.5
    """
    found = joined(csc_array(values_i[:, None]), y_i, claim=claim, most=1, least_gain=-1.0).latents.thresholds
    assert found is not None
    return found[0]


def with_median_thresholds(hypothesis: Hypothesis, pooled_il: csc_array) -> Hypothesis:
    """The hypothesis with a `median_threshold` for each of its latents, or as it is where it has thresholds.

    Args:
        hypothesis: A claim in words, or one on several latents whose thresholds nobody chose.
        pooled_il: Their pooled values on the proposal half, as the columns of `Latents.values`.

    Raises:
        InputError: If one of them never fires there; names it.
    """
    if hypothesis.latents.thresholds is not None:
        return hypothesis
    found = []
    for latent, values_i in zip(hypothesis.latents.all, pooled_il.toarray().T, strict=True):
        with located(f"hypothesis {hypothesis.id}, latent {latent}"):
            found.append(median_threshold(values_i))
    return hypothesis.with_thresholds(tuple(found))
