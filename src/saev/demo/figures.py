"""Figures with what is wanted of them, and beside controls, as a table for terminals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

CONTROLS: Final = ("neurons", "untrained SAE", "untrained ViT")
SHUFFLED: Final = "shuffled"
_BESIDE: Final = (*CONTROLS, SHUFFLED)
_HEAD: Final = ("", "wanted", "found", "", *_BESIDE)


@final
@dataclass(frozen=True)
class Figure:
    """A number that was measured."""

    name: str  # What it is.
    wanted: str  # What is wanted, in words.
    found: str  # What was found, in words.
    is_met: bool  # Whether that is as wanted.
    beside: Mapping[str, str] = field(default_factory=dict)  # The same of controls, in words.

    @property
    def cells(self) -> Sequence[str]:
        """Its row."""
        others = [self.beside.get(control, "") for control in _BESIDE]
        return (self.name, self.wanted, self.found, "" if self.is_met else "missed", *others)


def table(figures: Sequence[Figure]) -> list[str]:
    """Lines of a table, the head first.

    >>> print("\\n".join(table([Figure("dead", "<= 10 %", "11 %", False, {"neurons": "0 %"})])))
          wanted   found          neurons  untrained SAE  untrained ViT  shuffled
    dead  <= 10 %  11 %   missed  0 %
    """
    rows = [_HEAD, *(one.cells for one in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
