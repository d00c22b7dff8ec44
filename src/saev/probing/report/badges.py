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


def standing(result: Result) -> str:
    """The verdict, or that there is none."""
    return "exploratory" if result.exploratory else result.verdict


def badge(name: str) -> str:
    """A badge as HTML."""
    return f'<span class="badge {name}"><span aria-hidden="true">{STANDINGS[name][0]}</span> {name}</span>'
