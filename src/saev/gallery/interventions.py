"""What the ViT does with latents, as far as a gallery shows it: results of `saev probe intervene`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saev.latents.encoding import sae_digest
from saev.nn import SparseAutoencoder
from saev.pages.embedding import address
from saev.splicing.interventions_file import Effect, Interventions

MOST_EFFECTS: Final = 12
"""A head may have a thousand outputs."""
_PAGE: Final = "index.html"
_WHAT: Final = {"zero": "switched off", "set": "set to {:g}", "scale": "multiplied by {:g}", "add": "raised by {:g}"}


@dataclass(frozen=True)
class ShownEffect:
    """What an edit of latents does to one figure of the ViT's output.

    Args:
        n: Pictures.
        untouched: Its mean over them.
        mean: Of the differences that the edit makes.
        interval: Ends of its 95 % interval; None of a single picture.
        specific: Whether as large changes along random latents do less.
    """

    figure: str
    n: int
    untouched: float
    mean: float
    interval: tuple[float, float] | None
    specific: bool


@dataclass(frozen=True)
class ShownIntervention:
    """An edit of latents inside the ViT, and what became of its output.

    Args:
        latents: Those that were changed, together.
        what: What was done to them, in words.
        target: The class that is told from the others, if there is one.
        effects: The specific ones first, then the largest.
        n_more: Effects that are not among these.
        link: Address of the page that says more, from the gallery's folder on.
    """

    latents: Sequence[int]
    what: str
    target: str | None
    effects: Sequence[ShownEffect]
    n_more: int
    link: str | None


def interventions_for(sae: SparseAutoencoder, found: Sequence[Interventions], gallery: Path) -> list[ShownIntervention]:
    """The interventions on latents of an SAE, with links for a gallery that lies in a directory."""
    digest = sae_digest(sae) if found else ""
    return [_shown(one, gallery) for one in found if one.sae == digest]


def _shown(one: Interventions, gallery: Path) -> ShownIntervention:
    effects = sorted(one.effects, key=lambda effect: (not effect.specific, -abs(effect.effect.mean)))
    page = one.directory / _PAGE
    where = "" if one.tokens == "all" else " in the mask" if one.tokens == "mask" else " on some tokens"
    return ShownIntervention(
        latents=one.latents,
        what=_WHAT[one.how].format(one.value or 0.0) + where,
        target=one.target,
        effects=[_effect(effect) for effect in effects[:MOST_EFFECTS]],
        n_more=max(0, len(effects) - MOST_EFFECTS),
        link=address(page, gallery) if page.is_file() else None,
    )


def _effect(one: Effect) -> ShownEffect:
    low, high = one.effect.low, one.effect.high
    interval = None if low is None or high is None else (low, high)
    return ShownEffect(one.figure, one.n, one.untouched, one.effect.mean, interval, one.specific)
