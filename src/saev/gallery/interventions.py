"""What the ViT does with latents, as far as a gallery shows it: results of `saev probe intervene`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from saev.latents.encoding import sae_digest
from saev.nn import SparseAutoencoder
from saev.pages.embedding import address
from saev.splicing.interventions_file import Effect, Interventions

MOST_EFFECTS: Final = 12
"""A head may have a thousand outputs."""
_PAGE: Final = "index.html"
_WHAT: Final = {"zero": "switched off", "set": "set to {:g}", "scale": "multiplied by {:g}", "add": "raised by {:g}"}


def interventions_for(sae: SparseAutoencoder, found: Sequence[Interventions], gallery: Path) -> list[dict[str, Any]]:
    """The interventions on latents of an SAE, as the page reads them, with links for a gallery in a directory."""
    digest = sae_digest(sae) if found else ""
    return [_shown(one, gallery) for one in found if one.sae == digest]


def _shown(one: Interventions, gallery: Path) -> dict[str, Any]:
    """An edit and its effects, the specific ones first, then the largest; others are counted."""
    effects = sorted(one.effects, key=lambda effect: (not effect.specific, -abs(effect.effect.mean)))
    page = one.directory / _PAGE
    where = "" if one.tokens == "all" else " in the mask" if one.tokens == "mask" else " on some tokens"
    return {
        "latents": one.latents,
        "what": _WHAT[one.how].format(one.value or 0.0) + where,
        "target": one.target,
        "effects": [_effect(effect) for effect in effects[:MOST_EFFECTS]],
        "n_more": max(0, len(effects) - MOST_EFFECTS),
        "link": address(page, gallery) if page.is_file() else None,
    }


def _effect(one: Effect) -> dict[str, Any]:
    """Of one figure of the ViT's output: its mean over n pictures, and that of the differences with a 95 % interval."""
    low, high = one.effect.low, one.effect.high
    return {
        "figure": one.figure,
        "n": one.n,
        "untouched": one.untouched,
        "mean": one.effect.mean,
        "interval": None if low is None or high is None else (low, high),
        "specific": one.specific,
    }
