"""The page of an intervention: one HTML file with effects, curves of classes and maps."""

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from saev.pages.embedding import data_uri, jpeg, user_text
from saev.pages.heatmap import overlay
from saev.pages.standalone import standalone_page
from saev.probing.interventions.study import Shown
from saev.probing.report.drawing import Axis, line, svg, words

_SIDE: Final = 224
_HOW: Final = {
    "zero": "switched off",
    "set": "set to {}",
    "scale": "multiplied by {}",
    "add": "raised by {}",
}
_MOST_IN_SHORT: Final = 5
_CALLED: Final = {"off": "off", "off_random": "random off", "alone": "alone on", "alone_random": "random alone"}
_STYLE: Final = """
section { margin-top: 32px; }
table { border-collapse: collapse; margin-top: 12px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 14px 4px 0; text-align: right; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { font-size: 0.85rem; color: var(--soft); font-weight: 500; vertical-align: bottom; }
td.yes { color: var(--accent); font-weight: 600; }
.wide { overflow-x: auto; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(480px, 1fr)); gap: 24px; margin-top: 12px; }
.three { display: grid; grid-template-columns: repeat(3, 1fr); gap: 6px; }
.three img { display: block; width: 100%; border-radius: 6px; }
.charts { display: flex; flex-wrap: wrap; gap: 24px; margin-top: 12px; }
details { margin-top: 8px; }
summary { cursor: pointer; color: var(--soft); }
.plot { width: 460px; max-width: 100%; color: var(--ink); fill: none; stroke-width: 2; }
.plot text { fill: var(--soft); font-size: 12px; }
.plot .grid, .plot .untouched { stroke: currentColor; stroke-width: 1; }
.plot .grid { opacity: 0.15; }
.plot .untouched { stroke-dasharray: 1 3; }
.plot .off, .plot .off_random { stroke: #d1541f; }
.plot .alone, .plot .alone_random { stroke: #2b7bba; }
.plot .off_random, .plot .alone_random { stroke-dasharray: 4 4; }
"""


def page(result: Mapping[str, Any], shown: Sequence[Shown]) -> bytes:
    """The page, in ASCII.

    Args:
        result: What interventions.json says.
        shown: Pictures and their maps.
    """
    edit = result["edit"]
    how = _HOW[edit["how"]].format(edit["value"])
    many = "s" if len(edit["latents"]) > 1 else ""
    title = f"Latent{many} {', '.join(map(str, edit['latents']))} {how}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{_in_short(result['effects'])}</p>",
        _facts(result),
        _effects(result),
        _curves(result["curves"]),
        _maps(shown, result["block"]),
    ]
    return standalone_page(title, f"<main>{''.join(parts)}</main>", styles=[_STYLE])


def _in_short(effects: Sequence[Mapping[str, Any]]) -> str:
    found = sorted((one for one in effects if one["specific"]), key=lambda one: -abs(one["effect"]["mean"]))
    if not found:
        return "Nothing moves more than along random latents."
    said = ", ".join(f"{user_text(one['figure'])} ({one['effect']['mean']:+.2g})" for one in found[:_MOST_IN_SHORT])
    more = f", and {len(found) - _MOST_IN_SHORT} more" if len(found) > _MOST_IN_SHORT else ""
    return f"Moves more than along random latents: {said}{more}."


def _facts(result: Mapping[str, Any]) -> str:
    tokens = result["edit"]["tokens"]
    where = {"all": "all tokens that the SAE takes", "mask": "the patches of the mask"}
    facts = {
        "pictures": result["images"],
        "measured": f"{result['n_measured']} of {result['n_images']}; the edit changes {result['n_changed']} of them",
        "size of the change": f"{result['relative_norm']:.3f} of the norm of a changed picture's tokens",
        "where": where.get(tokens) if isinstance(tokens, str) else f"tokens {tokens}",
        "target": result["target"] or "none",
        "ViT": f"{result['model']}, layer {result['layer']}, {result['sae_tokens']} tokens",
        "SAE": result["sae"][:16],
        "seed": str(result["seed"]),
    }
    rows = "".join(f"<div><dt>{name}</dt><dd>{user_text(str(value))}</dd></div>" for name, value in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def _effects(result: Mapping[str, Any]) -> str:
    head = "".join(
        f"<th>{one}</th>"
        for one in (
            "figure", "more than random latents", "pictures", "as it is", "with the edit", "effect", "p (Holm)",
            "along random latents", "95 % of random latents move it less than", "beyond random latents", "p (Holm)",
        )
    )  # fmt: skip
    rows = []
    for one in result["effects"]:
        effect, beyond = one["effect"], one["beyond_random"]
        cells = [
            str(one["n"]), _number(one["untouched"]), _number(one["edited"]),
            _interval(effect), _p(effect), _number(one["random"]), _number(one["random_bound"]), _interval(beyond),
            _p(beyond),
        ]  # fmt: skip
        verdict = '<td class="yes">yes</td>' if one["specific"] else "<td>no</td>"
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f"<tr><td>{user_text(one['figure'])}</td>{verdict}{numbers}</tr>")
    accuracy = "".join(
        f"<p class='note'>{user_text(name)}: {row['untouched']:.3f} of the pictures right as they are, "
        f"{row['edited']:.3f} with the edit, {row['random']:.3f} along random latents.</p>"
        for name, row in result["accuracy"].items()
    )
    notes = "".join(f"<p class='note'>{user_text(one)}.</p>" for one in result["notes"])
    return (
        "<section><h2>Effects, picture by picture</h2>"
        "<p class='note'>Mean change with its 95 % interval. Random latents fire on about as many pictures, and the "
        "change along them is as large on each token. An effect is more than theirs where both p are at most .05 and "
        "95 % of the draws move the figure less. A cosine can only fall from 1: it is compared with random latents "
        "alone.</p>"
        f"<div class='wide'><table><tr>{head}</tr>{''.join(rows)}</table></div>{notes}{accuracy}</section>"
    )


def _curves(curves: Mapping[str, Any]) -> str:
    if not curves["rows"]:
        return ""
    ks, charts, parts = curves["ks"], [], []
    for readout in dict.fromkeys(row["readout"] for row in curves["rows"]):
        rows = [row for row in curves["rows"] if row["readout"] == readout]
        drawn = _chart(ks, {key: rows[0][key] for key in ("off", "off_random", "alone", "alone_random")},
                      rows[0]["untouched"])  # fmt: skip
        head = "".join(f"<th>{kind} {k}</th>" for kind in ("off", "alone") for k in ks)
        body = "".join(
            f"<tr><td>{'all' if row['class'] is None else user_text(row['class'])}</td><td>{row['n']}</td>"
            f"<td>{row['untouched']:.2f}</td>"
            + "".join(
                f"<td>{own:.2f} ({other:.2f})</td>"
                for kind in ("off", "alone")
                for own, other in zip(row[kind], row[f"{kind}_random"], strict=True)
            )
            + "</tr>"
            for row in rows
        )
        charts.append(
            f"<figure>{drawn}<figcaption><span>{user_text(readout)}: accuracy over all classes</span></figcaption>"
            "</figure>"
        )
        parts.append(
            f"<details><summary>{user_text(readout)}: each class (random latents in brackets)</summary>"
            f"<div class='wide'><table><tr><th>class</th><th>pictures</th><th>as it is</th>{head}</tr>{body}</table>"
            "</div></details>"
        )
    return (
        "<section><h2>Latents of each class, off or alone on</h2><p class='note'>The latents whose mean code is the "
        "most above that of the other classes, chosen on the other half of the pictures. What the SAE does not explain "
        f"stays.</p><div class='charts'>{''.join(charts)}</div>{''.join(parts)}</section>"
    )


def _chart(ks: Sequence[int], lines: Mapping[str, Sequence[float]], untouched: float) -> str:
    """Accuracies from 0 to 1 by the number of latents, one step each.

    Args:
        ks: Numbers of latents.
        lines: By name ("off", "off_random", "alone", "alone_random") the accuracies.
        untouched: The accuracy without a change.

    >>> _chart([1, 2], {"off": [1.0, 0.5]}, 1.0).count("<polyline")
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


def _maps(shown: Sequence[Shown], block: int) -> str:
    if not shown:
        return ""
    figures = []
    for one in shown:
        maps, pictures = one.maps, [one.view]
        if maps.fires_hw is not None:
            pictures.append(overlay(one.view, maps.fires_hw, maps.value))
        # A latent that rests on nothing alone has a map of nothing, not of noise at full strength.
        pictures.append(overlay(one.view, np.maximum(maps.drop_hw, 0), max(maps.drop_hw.max(), maps.value / 4)))
        images = "".join(f'<img src="{data_uri(jpeg(one, _SIDE)[0], "image/jpeg")}" alt="">' for one in pictures)
        figures.append(
            f'<figure><div class="three">{images}</div><figcaption>latent {maps.latent}, value {maps.value:.3g}; the '
            f"largest fall {maps.drop_hw.max():.3g}: {user_text(one.name)}</figcaption></figure>"
        )
    return (
        "<section><h2>Where it fires, and what makes it fire</h2><p class='note'>The picture, the latent's codes on "
        f"its patches, and how much its largest code falls when {block} x {block} patches there are grey.</p>"
        f'<div class="maps">{"".join(figures)}</div></section>'
    )


def _number(value: float) -> str:
    return f"{value:.4f}"


def _interval(effect: Mapping[str, float | None]) -> str:
    if effect["low"] is None:
        return f"{effect['mean']:+.4f}"
    return f"{effect['mean']:+.4f} [{effect['low']:+.4f}, {effect['high']:+.4f}]"


def _p(effect: Mapping[str, float | None]) -> str:
    return "" if effect["p_corrected"] is None else f"{effect['p_corrected']:.4f}"
