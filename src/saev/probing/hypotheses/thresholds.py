"""Where a latent counts as firing, chosen on the proposal half.

Shape suffixes: i = pictures, l = latents of a hypothesis.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError
from saev.probing.hypotheses.coalitions import joined
from saev.probing.hypotheses.hypothesis import Claim, Hypothesis
from saev.shards.format.strict_json import located

TOP: Final = 0.99
LEAST_SHARE: Final = 0.03


def unlabelled_threshold(values_i: NDArray[np.floating[Any]]) -> float:
    """A threshold for a claim without labels, which the pictures exceed that a gallery shows, and few others.

    Half of the 99 % quantile of a latent's positive values; where fewer than 3 % of all pictures exceed that, their
    97 % quantile. But at most the upper half of its positive values exceeds it: most latents fire a little on many
    pictures when the largest of a picture's codes counts. docs/measurements.md has how near it comes to the threshold
    that labels choose.

    Args:
        values_i: Its pooled values on the proposal half, none below 0.

    Raises:
        InputError: If it never fires there.

    >>> unlabelled_threshold(np.array([0.0] * 40 + [1.0] * 50 + [8.0] * 10))
    4.0
    >>> unlabelled_threshold(np.array([0.0] * 98 + [1.0, 3.0]))  # of few positive values the upper half
    2.0
    """
    positive_i = np.sort(values_i[values_i > 0]).astype(np.float64)
    if not len(positive_i):
        raise InputError("the latent never fires on the proposal half: there is nothing to test")
    half_of_largest = float(np.quantile(positive_i, TOP)) / 2
    return max(_median(positive_i), min(half_of_largest, float(np.quantile(values_i, 1 - LEAST_SHARE))))


def _median(positive_i: NDArray[np.float64]) -> float:
    """A number between two of the sorted values that at least half of them exceed, also where many are equal."""
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


def with_unlabelled_thresholds(hypothesis: Hypothesis, pooled_il: csc_array) -> Hypothesis:
    """The hypothesis with an `unlabelled_threshold` for each of its latents, or as it is where it has thresholds.

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
            found.append(unlabelled_threshold(values_i))
    return hypothesis.with_thresholds(tuple(found))
