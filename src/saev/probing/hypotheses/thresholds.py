"""Where a latent counts as firing: thresholds that a draft leaves open are chosen on the proposal half.

Shape suffixes: i = pictures, h = pictures of the proposal half, l = latents of a hypothesis.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError, tell
from saev.latents.codes import Codes
from saev.probing.hypotheses.coalitions import joined
from saev.probing.hypotheses.hypothesis import Claim, Hypothesis
from saev.probing.pictures.attributes import Attributes
from saev.probing.pictures.pooled import pooled
from saev.probing.statistics.arrays import Integers
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
    """The hypothesis with an `unlabelled_threshold` for each of its latents.

    Args:
        hypothesis: A claim in words, or one on several latents whose thresholds nobody chose.
        pooled_il: Their pooled values on the proposal half, as the columns of `Latents.values`.

    Raises:
        InputError: If one of them never fires there; names it.
    """
    found = []
    for latent, values_i in zip(hypothesis.latents.all, pooled_il.toarray().T, strict=True):
        with located(f"hypothesis {hypothesis.id}, latent {latent}"):
            found.append(unlabelled_threshold(values_i))
    return hypothesis.with_thresholds(tuple(found))


def known_labels(hypothesis: Hypothesis, attributes: Attributes | None) -> NDArray[np.int8] | None:
    """The labels (i,) of a hypothesis's attribute: 1, 0, -1 for unknown; None where it is known in words alone.

    None, too, where nothing of its source is known here.

    Raises:
        InputError: If other attributes of its source are known.
    """
    name = hypothesis.attribute
    if name.source == "words" or attributes is None:
        return None
    if name.source not in {one.source for one in (*attributes.binary, *attributes.numeric)}:
        return None
    with located(f"hypothesis {hypothesis.id}"):
        return attributes.labels_of(name.source, name.name)


def with_thresholds(
    hypotheses: Sequence[Hypothesis], images: Integers, attributes: Attributes | None, codes: Callable[[], Codes]
) -> tuple[Hypothesis, ...]:
    """The hypotheses, those without thresholds with the ones that the pictures suggest.

    One latent whose attribute is labelled gets the threshold of the largest MCC, all others `unlabelled_threshold`. A
    line for the user says of each hypothesis how often it fires then.

    Args:
        hypotheses: Of one SAE.
        images: (h,) pictures of the proposal half.
        attributes: Of all pictures of the recording.
        codes: Gives those of the recording, if they are needed.

    Raises:
        InputError: If an attribute is not known, codes are of other tokens, or a latent never fires on these pictures.
    """
    open_ones = [one for one in hypotheses if one.latents.thresholds is None]
    for one in open_ones:
        if one.attribute.source != "words" and known_labels(one, attributes) is None:
            raise InputError(
                f"hypothesis {one.id}: nothing is known of {one.attribute.source} {one.attribute.name!r}: give labels "
                "or metadata that say which pictures have it, or a threshold"
            )
    chosen: dict[str, Hypothesis] = {}
    for how in dict.fromkeys((one.pooling, one.count_above) for one in open_ones):
        own = [one for one in open_ones if (one.pooling, one.count_above) == how]
        latents = np.unique([latent for one in own for latent in one.latents.all])
        found = codes()
        if other := [one for one in own if one.tokens != found.origin.tokens]:
            raise InputError(
                f"hypothesis {other[0].id} is on {other[0].tokens} tokens, the codes are of {found.origin.tokens}"
            )
        pooled_hl = pooled(found, images, *how, latents)
        for one in own:
            own_hl = pooled_hl[:, np.searchsorted(latents, one.latents.all)]
            chosen[one.id], by = _chosen(one, own_hl, images, attributes)
            _say(chosen[one.id], by, own_hl)
    return tuple(chosen.get(one.id, one) for one in hypotheses)


def _chosen(
    hypothesis: Hypothesis, pooled_hl: csc_array, images: Integers, attributes: Attributes | None
) -> tuple[Hypothesis, str]:
    """The hypothesis with its thresholds, and what chose them."""
    y_i = known_labels(hypothesis, attributes)
    if y_i is None or len(hypothesis.latents.all) > 1:
        return with_unlabelled_thresholds(hypothesis, pooled_hl), "without labels"
    with located(f"hypothesis {hypothesis.id}"):
        threshold = best_threshold(pooled_hl.toarray()[:, 0], y_i[images], hypothesis.claim)
    return hypothesis.with_thresholds((threshold,)), "by labels"


def _say(hypothesis: Hypothesis, by: str, pooled_hl: csc_array) -> None:
    latents = hypothesis.latents
    assert latents.thresholds is not None, "they are chosen"
    share = float((latents.values(pooled_hl) > latents.threshold).mean())
    numbers = ", ".join(f"{one:.3g}" for one in latents.thresholds)
    what = f"threshold{'s' * (len(latents.all) > 1)} {numbers}, chosen {by}"
    tell(
        f"{hypothesis.id}: {what}, fires on {100 * share:.2g} % of the proposal half; if you mean another, state it "
        "(thresholds)"
    )
