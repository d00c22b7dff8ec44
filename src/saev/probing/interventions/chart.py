"""Curves as SVG, for a page in which no script draws."""

from collections.abc import Mapping, Sequence
from typing import Final

from saev.probing.report.drawing import Axis, line, svg, words

_CALLED: Final = {"off": "off", "off_random": "random off", "alone": "alone on", "alone_random": "random alone"}
STYLE: Final = """
.plot { width: 460px; max-width: 100%; color: var(--ink); fill: none; stroke-width: 2; }
.plot text { fill: var(--soft); font-size: 12px; }
.plot .grid, .plot .untouched { stroke: currentColor; stroke-width: 1; }
.plot .grid { opacity: 0.15; }
.plot .untouched { stroke-dasharray: 1 3; }
.plot .off, .plot .off_random { stroke: #d1541f; }
.plot .alone, .plot .alone_random { stroke: #2b7bba; }
.plot .off_random, .plot .alone_random { stroke-dasharray: 4 4; }
"""


def chart(ks: Sequence[int], lines: Mapping[str, Sequence[float]], untouched: float) -> str:
    """Accuracies from 0 to 1 by the number of latents, one step each; it needs `STYLE`.

    Args:
        ks: Numbers of latents.
        lines: By name ("off", "off_random", "alone", "alone_random") the accuracies.
        untouched: The accuracy without a change.

    >>> chart([1, 2], {"off": [1.0, 0.5]}, 1.0).count("<polyline")
    1
    """
    across, up = Axis(0, max(1, len(ks) - 1), 40, 330), Axis(0, 1, 210, 12)
    parts = [line(40, up.at(share), 330, up.at(share), "grid") for share in (0, 0.5, 1)]
    parts += [words(34, up.at(share) + 4, f"{share:g}", "end") for share in (0, 0.5, 1)]
    parts += [words(across.at(place), 230, str(k)) for place, k in enumerate(ks)]
    parts.append(line(40, up.at(untouched), 330, up.at(untouched), "untouched"))
    for number, (name, values) in enumerate(lines.items()):
        points, low = " ".join(f"{across.at(x)},{up.at(y)}" for x, y in enumerate(values)), 22 + 18 * number
        parts.append(f'<polyline class="{name}" points="{points}"/>')
        parts += [line(340, low, 358, low, name), words(364, low + 4, _CALLED[name], "start")]
    return svg(460, 240, "accuracy by number of latents", parts)
