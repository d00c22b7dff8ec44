"""Verdicts as badges, which differ by word, sign and border as well as by colour."""

from typing import Final

from saev.probing.verdicts.result import Result

STANDINGS: Final = {
    "confirmed": ("\N{CHECK MARK}", "the claim holds"),
    "rejected": ("\N{MULTIPLICATION X}", "the claim does not hold, or too weakly to matter"),
    "undecided": ("?", "these pictures do not say"),
    "exploratory": ("\N{DOTTED CIRCLE}", "a look at pictures that were tested on before: nothing is decided"),
}
"""What may be said of a hypothesis, its sign, and what it means."""


CIRCULAR: Final = "the labels come from a model that gave the name, or that the SAE looks into"
"""What the second badge says that some have."""


def standing(result: Result) -> str:
    """The verdict, or that there is none."""
    return "exploratory" if result.exploratory else result.verdict


def badge(name: str) -> str:
    """A badge as HTML."""
    return _badge(name, STANDINGS[name][0])


def badges(result: Result) -> str:
    """The badge of a verdict, a second one where it is circular, and what else does as well, as HTML."""
    own = badge(standing(result))
    if result.circular is not None:
        own += f" {circular_badge()}"
    return own if result.untrained is None else f'{own} <span class="soft">({result.untrained})</span>'


def circular_badge() -> str:
    """What marks verdicts that are circular, as HTML."""
    return _badge("circular", "\N{CLOCKWISE OPEN CIRCLE ARROW}")


def _badge(name: str, sign: str) -> str:
    return f'<span class="badge {name}"><span aria-hidden="true">{sign}</span> {name}</span>'
