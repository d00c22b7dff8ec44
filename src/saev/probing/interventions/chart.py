"""Curves as SVG, for a page in which no script draws."""

from collections.abc import Mapping, Sequence
from typing import Final

WIDTH: Final = 460
HEIGHT: Final = 240
_LEFT: Final = 40
_RIGHT: Final = 130
_TOP: Final = 12
_BOTTOM: Final = 30
_LOOK: Final = {
    "off": 'stroke="#d1541f"',
    "off_random": 'stroke="#d1541f" stroke-dasharray="4 4"',
    "alone": 'stroke="#2b7bba"',
    "alone_random": 'stroke="#2b7bba" stroke-dasharray="4 4"',
}
_CALLED: Final = {"off": "off", "off_random": "random off", "alone": "alone on", "alone_random": "random alone"}


def chart(ks: Sequence[int], lines: Mapping[str, Sequence[float]], untouched: float) -> str:
    """Accuracies from 0 to 1 by the number of latents, one step each.

    Args:
        ks: Numbers of latents.
        lines: By name ("off", "off_random", "alone", "alone_random") the accuracies.
        untouched: The accuracy without a change.

    >>> chart([1, 2], {"off": [1.0, 0.5]}, 1.0).count("<polyline")
    1
    """
    step = (WIDTH - _LEFT - _RIGHT) / max(1, len(ks) - 1)
    x = [_LEFT + number * step for number in range(len(ks))]
    right = WIDTH - _RIGHT
    parts = [
        f'<line x1="{_LEFT}" x2="{right}" y1="{_y(share)}" y2="{_y(share)}" stroke="currentColor" opacity="0.15"/>'
        f'<text x="{_LEFT - 6}" y="{_y(share) + 4}" text-anchor="end">{share:g}</text>'
        for share in (0, 0.5, 1)
    ]
    parts += [
        f'<text x="{place:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{k}</text>'
        for place, k in zip(x, ks, strict=True)
    ]
    parts.append(
        f'<line x1="{_LEFT}" x2="{right}" y1="{_y(untouched)}" y2="{_y(untouched)}" stroke="currentColor" '
        'stroke-dasharray="1 3"/>'
    )
    for number, (name, values) in enumerate(lines.items()):
        points = " ".join(f"{place:.1f},{_y(value)}" for place, value in zip(x, values, strict=True))
        low = 22 + 18 * number
        parts.append(
            f'<polyline points="{points}" fill="none" stroke-width="2" {_LOOK[name]}/>'
            f'<line x1="{right + 10}" x2="{right + 28}" y1="{low}" y2="{low}" stroke-width="2" {_LOOK[name]}/>'
            f'<text x="{right + 34}" y="{low + 4}">{_CALLED[name]}</text>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="accuracy by number of latents">'
        f"{''.join(parts)}</svg>"
    )


def _y(share: float) -> float:
    return round(_TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM), 1)
