"""Thresholds that a draft leaves open are chosen on the proposal half.

Shape suffixes: i = pictures of the recording, h = pictures of the proposal half, l = latents.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from saev.errors import InputError, tell
from saev.latents.codes import Codes
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.hypotheses.thresholds import best_threshold, with_unlabelled_thresholds
from saev.probing.pictures.attributes import Attributes
from saev.probing.pictures.pooled import pooled
from saev.probing.statistics.arrays import Integers
from saev.shards.format.strict_json import located


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
