"""The draft of hypotheses: for each attribute the best latent, and a few latents together where these are better."""

import re
from typing import Final

import numpy as np

from saev.probing.candidates.scoring import Scored
from saev.probing.hypotheses.coalitions import LEAST_GAIN, joined
from saev.probing.hypotheses.hypothesis import LONGEST_ID, AttributeName, Claim, Hypothesis, Latents
from saev.probing.hypotheses.thresholds import best_threshold
from saev.probing.pictures.attributes import Attribute
from saev.probing.pictures.pooling import Pooling
from saev.probing.statistics.arrays import Integers
from saev.progress import progress_bar
from saev.shards.format.layout import TokenKind

MOST_JOINED: Final = 5
JOINED_FROM: Final = 2**20
"""Values of the latents among which some are joined. Where there are more, only the latents that go best with the
attribute and those that go best without it are looked at."""


def drafted(
    scored: Scored, *, tokens: TokenKind, pooling: Pooling, count_above: float, smallest_effect: float
) -> tuple[Hypothesis, ...]:
    """Hypotheses on the attributes for which some latent has a q of at most .05: on the best of these.

    Args:
        tokens: Which tokens the codes are of.
        pooling: How they were pooled.
        count_above: Likewise.
        smallest_effect: The smallest MCC that matters.
    """
    best, found, ids = scored.best(), [], set[str]()
    for j in progress_bar(scored.wanted(), desc="joining", unit=" attributes"):
        attribute, latent = scored.attributes.binary[j], int(best[j])
        claim: Claim = "fires on" if scored.effect_lj[latent, j] > 0 else "does not fire on"
        value_i = scored.pooled_il[:, [latent]].toarray()[:, 0]
        single = Latents((latent,), (), (best_threshold(value_i, scored.labels(j), claim),))
        several = _joined(scored, j, claim)
        for latents, end in ((single, ""), *(((several, "-joined"),) if several is not None else ())):
            found.append(
                Hypothesis(
                    id=_new_id(attribute, end, ids),
                    attribute=AttributeName(attribute.source, attribute.name),
                    latents=latents,
                    claim=claim,
                    tokens=tokens,
                    pooling=pooling,
                    count_above=count_above,
                    smallest_effect=smallest_effect,
                    text=attribute.name,
                )
            )
    return tuple(found)


def _joined(scored: Scored, attribute: int, claim: Claim) -> Latents | None:
    """A few latents for an attribute, or None where one is as good."""
    if np.abs(scored.effect_lj[:, attribute]).max() < LEAST_GAIN:
        return None
    chosen = _pool(scored, attribute)
    found = joined(scored.pooled_il[:, chosen], scored.labels(attribute), claim=claim, most=MOST_JOINED)
    if len(found.mcc) == 1:
        return None
    some, unless = ([int(chosen[place]) for place in places] for places in (found.latents.any, found.latents.unless))
    return Latents(tuple(some), tuple(unless), found.latents.thresholds)


def _pool(scored: Scored, attribute: int) -> Integers:
    """Numbers of latents, ascending."""
    with_it, without = -scored.scores.mcc[:, attribute], scored.scores.lowest_mcc[:, attribute]
    order = np.argsort(np.minimum(with_it, without), kind="stable")
    n_values = np.diff(scored.pooled_il.indptr)[order].cumsum()
    return np.sort(order[: max(1, int(np.searchsorted(n_values, JOINED_FROM, side="right")))])


def _new_id(attribute: Attribute, end: str, taken: set[str]) -> str:
    """An id that no other hypothesis has, from the attribute's name."""
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", attribute.name).strip("-")
    whole = f"{attribute.source}-{slug}".rstrip("-")
    for number in range(1, len(taken) + 2):
        tail = ("" if number == 1 else f"-{number}") + end
        found = whole[: LONGEST_ID - len(tail)] + tail
        if found.casefold() not in taken:
            break
    taken.add(found.casefold())
    return found
