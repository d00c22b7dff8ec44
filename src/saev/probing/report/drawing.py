"""SVG of a report: shapes have classes, and the style sheet gives them their colours."""

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Axis:
    """A range of values, and the pixels or per cents that it is drawn on.

    >>> Axis(-0.2, 1.0, 0, 100).at(0.4)
    50.0
    """

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """The place of a value; what is outside the range is put at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 2)


def svg(width: float, height: float, said: str, parts: Iterable[str]) -> str:
    """A drawing; `said` is what it says to those who do not see it."""
    return (
        f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(said)}">'
        f"{''.join(parts)}</svg>"
    )


def line(x1: object, y1: object, x2: object, y2: object, kind: str) -> str:
    """A line; places may be per cents."""
    return f'<line class="{kind}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A bar."""
    return f'<rect class="{kind}" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"/>'


def words(x: object, y: object, text: str, anchor: str = "middle") -> str:
    """A text."""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{html.escape(text)}</text>'


def number(x: float, digits: int = 2) -> str:
    """A number with a true minus sign.

    >>> number(-0.249), number(-0.001)
    ('−0.25', '0.00')
    """
    return f"{round(x, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def value(x: float) -> str:
    """A value of a latent, with three digits.

    >>> value(12.3456), value(0.0), value(12345.6)
    ('12.3', '0', '12300')
    """
    return f"{float(f'{x:.3g}'):g}".replace("-", "\N{MINUS SIGN}")


def p_value(p: float) -> str:
    """A p with two digits.

    >>> p_value(0.0314), p_value(0.0002)
    ('0.031', '0.0002')
    """
    return f"{p:.2g}" if p >= 1e-4 else f"{p:.1e}"
