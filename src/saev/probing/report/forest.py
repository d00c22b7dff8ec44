"""Effects under each other, each with its interval, against chance and the smallest effect that matters."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

from saev.pages.embedding import user_text
from saev.probing.report.drawing import Axis, line, number, words
from saev.probing.report.reported import Reported
from saev.probing.verdicts.result import Confounder

Mark = Literal["effect", "reach", "point"]
MOST_CONFOUNDERS: Final = 5
"""Of a table with more columns the others share a row."""
_HALF: Final = 6.5  # of the diamond that marks the effect, in pixels


@final
@dataclass(frozen=True)
class Row:
    """A row of a forest plot."""

    name: str  # What it is.
    mcc: float  # With the sign of the claim.
    interval: tuple[float, float] | None = None  # Ends of its 95 % interval.
    note: str = ""  # Says more.
    mark: Mark = "point"
    """A diamond for the effect; a line that ends at a value for what stays under it; otherwise a point."""


def rows_of(one: Reported) -> list[Row]:
    """The effect of a hypothesis, and all that stands beside it."""
    result = one.result
    note = f"{result.n:,} pictures, {result.n_positive:,} with the attribute"
    rows = [Row("This hypothesis", result.effect, result.interval, note, "effect")]
    if result.matched is not None:
        matched = result.matched
        note = (
            f"95 % of {matched.n} latents that fire as often stay under this: "
            f"on {100 * matched.frequency:.3g} % of the proposal half, the hypothesis on "
            f"{100 * matched.own_frequency:.3g} %"
        )
        rows.append(Row("Random latents", result.matched.quantile, None, note, "reach"))
    rows += _of_confounders(result.confounders)
    for found in result.controls:
        rows.append(Row(found.name, found.mcc, (found.low, found.high), f"{found.note}; AUROC {number(found.auroc)}"))
    return rows


def _of_confounders(found: Sequence[Confounder]) -> list[Row]:
    """A row each; of very many those that tell the most, and one for the others."""
    shown = sorted(found, key=lambda one: -one.mcc)[:MOST_CONFOUNDERS] if len(found) > MOST_CONFOUNDERS + 1 else found
    rows = [Row(f"Confounder: {one.name}", one.mcc, None, one.note) for one in shown]
    if rest := [one.mcc for one in found if one not in shown]:
        note = "none of them is above this; verdicts.json has each"
        rows.append(Row(f"{len(rest)} other confounders", max(rest), None, note, "reach"))
    return rows


def axis_of(rows: Sequence[Row]) -> Axis:
    """An axis in per cents that holds all of them and chance, in steps of 0.2."""
    ends = [end for row in rows for end in (row.mcc, *(row.interval or ()))]
    low, high = min([-0.2, *ends]), max([0.6, *ends])
    return Axis(max(-1.0, math.floor(5 * low) / 5), min(1.0, math.ceil(5 * high) / 5), 2, 98)


def track(row: Row, axis: Axis, smallest: float) -> str:
    """The drawing of a row, which fills its cell: chance, the smallest effect that matters, interval and mark."""
    place = axis.at(row.mcc)
    parts = [_upright(axis.at(0), "zero"), _upright(axis.at(smallest), "smallest")]
    if row.interval is not None:
        low, high = (axis.at(end) for end in row.interval)
        parts += [line(f"{low}%", "50%", f"{high}%", "50%", f"interval {row.mark}")]
    if row.mark == "effect":
        shape = f"M0 {-_HALF} {_HALF} 0 0 {_HALF} {-_HALF} 0Z"
        parts.append(f'<svg class="at" x="{place}%" y="50%"><path class="effect" d="{shape}"/></svg>')
    elif row.mark == "reach":
        parts.append(line(f"{axis.start}%", "50%", f"{place}%", "50%", "reach"))
        parts.append(f'<svg class="at" x="{place}%" y="50%"><path class="end" d="M0 -7V7"/></svg>')
    else:
        parts.append(f'<circle class="point" cx="{place}%" cy="50%" r="4.5"/>')
    return f'<svg class="track" aria-hidden="true">{"".join(parts)}</svg>'


def scale(axis: Axis) -> str:
    """The numbers of an axis, for the row under the others."""
    n = round((axis.high - axis.low) / 0.2)
    first = round(axis.low / 0.2)
    parts = []
    for k in range(first, first + n + 1):
        text = words(f"{axis.at(0.2 * k)}%", 14, number(0.2 * k, 1) if k else "0")
        parts.append(text if k % 2 == 0 else f'<g class="between">{text}</g>')
    return f'<svg class="track" aria-hidden="true">{"".join(parts)}</svg>'


def effect_words(mcc: float, interval: tuple[float, float] | None) -> str:
    """An effect with its interval, as HTML."""
    ends = "" if interval is None else f" <small>{number(interval[0])} to {number(interval[1])}</small>"
    return f"<strong>{number(mcc)}</strong>{ends}"


def forest(one: Reported, strata: str | None = None) -> str:
    """The table of a hypothesis: what it is, a drawing, the number, and a note."""
    within = "" if strata is None else f", each among pictures of the same {user_text(strata)}; AUROC among all of them"
    rows, smallest = rows_of(one), one.result.smallest_effect
    axis = axis_of([*rows, Row("", smallest)])
    body = "".join(
        f'<tr class="row-{row.mark}"><th scope="row">{user_text(row.name)}</th>'
        f'<td class="drawn">{track(row, axis, smallest)}</td>'
        f'<td class="number">{effect_words(row.mcc, row.interval)}</td><td class="soft">{user_text(row.note)}</td></tr>'
        for row in rows
    )
    return f"""<table class="forest">
<caption>Agreement with the label (MCC): 1 is perfect, 0 is chance{within}</caption>
<colgroup><col class="what"><col><col class="mcc"><col class="more"></colgroup>
<thead><tr><th scope="col">What</th><th scope="col"><span class="hidden">Drawing</span></th>
<th scope="col">MCC, 95 % interval</th><th scope="col">Which</th></tr></thead>
<tbody>{body}<tr class="scale"><td></td><td class="drawn">{scale(axis)}</td><td></td><td></td></tr></tbody>
</table>
<p class="note">Solid line: chance. Dashed line: the smallest effect that matters ({html.escape(number(smallest))}).</p>
"""


def _upright(place: float, kind: str) -> str:
    return line(f"{place}%", "0", f"{place}%", "100%", kind)
