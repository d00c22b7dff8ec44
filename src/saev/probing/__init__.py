"""Hypotheses about latents: proposed, frozen, tested once, reported."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saev.probing.building import build as build
    from saev.probing.freezing import freeze as freeze
    from saev.probing.intervening import intervene as intervene
    from saev.probing.proposal_half import proposal_images as proposal_images
    from saev.probing.proposing import propose as propose
    from saev.probing.testing import test as test

__all__ = ["build", "freeze", "intervene", "proposal_images", "propose", "test"]

# Public names and their modules, imported with the first use of a name. No module has the name of a function: once
# imported, it would hide that.
_PLACES = {
    "build": "saev.probing.building",
    "freeze": "saev.probing.freezing",
    "intervene": "saev.probing.intervening",
    "proposal_images": "saev.probing.proposal_half",
    "propose": "saev.probing.proposing",
    "test": "saev.probing.testing",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'saev.probing' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
