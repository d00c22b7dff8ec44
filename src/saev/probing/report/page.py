"""The report as one HTML file."""

import html
import platform
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from saev.artifacts import RunDirectory
from saev.pages.embedding import address, user_text
from saev.pages.standalone import standalone_page
from saev.probing.report.badges import CIRCULAR, STANDINGS, badge, badges, circular_badge, standing
from saev.probing.report.drawing import p_value
from saev.probing.report.forest import Row, axis_of, effect_words, scale, track
from saev.probing.report.reported import Reported
from saev.probing.report.section import anchor, latent_words, section
from saev.probing.report.tables import table
from saev.probing.verdicts.files import Verdicts

TITLE = "Hypotheses and verdicts"
_VERSIONS = ("saev", "numpy", "scipy", "torch")
_HEAT = '<label class="switch"><input type="checkbox" id="heat-on" aria-keyshortcuts="h" checked> Heatmaps</label>'


def report_page(verdicts: Verdicts, reported: Sequence[Reported], options: Mapping[str, object]) -> bytes:
    """The page: all hypotheses in a table, each with what speaks for and against it, and how to run the test again.

    It opens from the file system without anything beside it, and without scripts. `MOST_PICTURES` bounds its size.

    Args:
        verdicts: What the test says.
        reported: Each of the hypotheses, in the order of `verdicts`.
        options: Those of `saev probe test` that gave it, see `command`. Where the SAE lies in a run that has a gallery
            of it, hypotheses have links to their latents there.
    """
    assert [one.result for one in reported] == list(verdicts.results)
    gallery = gallery_address(options.get("sae"), options.get("out"))
    body = f"""<main>
<header>
<h1>{TITLE}</h1>
<p class="counts">{_counts(reported)}{_filter(reported)}</p>
</header>
{_overview(reported)}
{"".join(section(one, gallery, verdicts.strata) for one in reported)}
{_again(verdicts, options)}
</main>"""
    assets = files("saev.probing.report") / "assets"
    style, script = ((assets / name).read_text(encoding="ascii") for name in ("report.css", "report.js"))
    return standalone_page(TITLE, body, controls=_HEAT, styles=[style], scripts=[script])


def _counts(reported: Sequence[Reported]) -> str:
    found = Counter(standing(one.result) for one in reported)
    counts = [f"<span>{badge(name)} {found[name]}</span>" for name in STANDINGS if found[name]]
    if n := sum(one.result.circular is not None for one in reported):
        counts.append(f"<span>{circular_badge()} {n}</span>")
    return " ".join(counts)


def _filter(reported: Sequence[Reported]) -> str:
    """The choice of the verdicts that are shown, for report.js; nothing where all are alike."""
    used = {standing(one.result) for one in reported}
    if len(used) < 2:
        return ""
    options = "".join(f'<option value="{name}">{name}</option>' for name in STANDINGS if name in used)
    return f"""<label class="hidden" for="filter-verdict">Verdict</label>
<select id="filter-verdict" hidden><option value="">any verdict</option>{options}</select>"""


def gallery_address(sae: object, out: object) -> str | None:
    """Where the gallery of an SAE is from the report in `out` on, if the SAE lies in a run and has one."""
    if not isinstance(sae, str | Path) or not isinstance(out, str | Path):
        return None
    directory = Path(sae).absolute()
    run = RunDirectory(directory.parent.parent)
    index = run.gallery(directory.name) / "index.html"
    return address(index, Path(out)) if directory.parent == run.saes and index.is_file() else None


def _overview(reported: Sequence[Reported]) -> str:
    rows = [Row("", one.result.effect, one.result.interval, mark="effect") for one in reported]
    ends = [Row("", one.result.smallest_effect) for one in reported]
    axis = axis_of([*rows, *ends])
    body = "".join(
        f'<tr data-standing="{standing(one.result)}"><td>{badges(one.result)}</td>'
        f'<th scope="row"><a href="#{anchor(one.result)}">{user_text(one.result.text)}</a>'
        f'<span class="soft">{latent_words(one.result)} {one.result.claim} it</span></th>'
        f'<td class="drawn">{track(row, axis, one.result.smallest_effect)}</td>'
        f'<td class="number">{effect_words(row.mcc, row.interval)}</td>'
        f'<td class="number">{p_value(one.result.p_corrected)}</td><td class="number">{one.result.n:,}</td></tr>'
        for one, row in zip(reported, rows, strict=True)
    )
    used = {standing(one.result) for one in reported}
    meanings = [(badge(name), said) for name, (_, said) in STANDINGS.items() if name in used]
    if any(one.result.circular for one in reported):
        meanings.append((circular_badge(), CIRCULAR))
    said = "".join(f"<div><dt>{one}</dt><dd>{words}</dd></div>" for one, words in meanings)
    return f"""<section id="overview" aria-labelledby="overview-title">
<h2 class="hidden" id="overview-title">All hypotheses</h2>
<table class="forest all">
<thead><tr><th scope="col">Verdict</th><th scope="col">Hypothesis</th><th scope="col">Effect and 95 % interval</th>
<th scope="col">MCC</th><th scope="col">p, corrected</th><th scope="col">Pictures</th></tr></thead>
<tbody>{body}<tr class="scale"><td></td><td></td><td class="drawn">{scale(axis)}</td><td></td><td></td><td></td></tr>
</tbody></table>
<dl class="meanings">{said}</dl>
</section>"""


def _again(verdicts: Verdicts, options: Mapping[str, object]) -> str:
    versions = {"Python": platform.python_version()} | {name: version(name) for name in _VERSIONS}
    rows = [
        ("Date", html.escape(verdicts.date)),
        ("Frozen hypotheses", f"<code>{html.escape(verdicts.frozen)}</code>"),
        ("SAE", f"<code>{html.escape(verdicts.sae)}</code>"),
        ("Recording", f"<code>{html.escape(verdicts.shards)}</code>"),
        ("Alpha", f"{verdicts.alpha:g}, over the {verdicts.n_hypotheses:,} hypotheses of the frozen file (Holm)"),
        ("Permutations", f"{verdicts.n_permutations:,}, {_within(verdicts.strata)}"),
        ("Draws of a bootstrap", f"{verdicts.n_draws:,}"),
        ("Seed", str(verdicts.seed)),
        *(
            (f"SHA-256 of {one.what}", f"<code>{html.escape(one.sha256)}</code> {user_text(one.path)}")
            for one in verdicts.inputs
        ),
        ("Versions", ", ".join(f"{name} {found}" for name, found in versions.items())),
    ]
    return f"""<section class="again" aria-labelledby="again-title">
<h2 id="again-title">To run it again</h2>
<pre tabindex="0"><bdi>{html.escape(command(options))}</bdi></pre>
<p class="note">The same files and the same seed give the same numbers; but the pictures are spent now: a second test of
the same attribute on any of them is exploratory.</p>
{table("", ("What", "Value"), rows)}
</section>"""


def _within(strata: str | None) -> str:
    return "of labels among all pictures" if strata is None else f"of labels within values of {user_text(strata)}"


def command(options: Mapping[str, object]) -> str:
    """The command that gives a report.

    Args:
        options: By name. Each value of a list is given, and that it is empty; None is left out, a truth is a flag, and
            what is no text, path or number was handed over in Python.

    >>> command({"sae": "a b", "seed": 3, "controls": False, "answers": ["x.csv", "y.csv"], "codes": None})
    "saev probe test --sae 'a b' --seed 3 --no_controls --answers x.csv --answers y.csv"
    """
    words = ["saev", "probe", "test"]
    for name, found in options.items():
        for one in (found or ["[]"]) if isinstance(found, list | tuple) else [found]:
            if isinstance(one, bool):
                words.append(f"--{name}" if one else f"--no_{name}")
            elif one is not None:
                words += [f"--{name}", _shown(one)]
    return shlex.join(words)


def _shown(option: object) -> str:
    return str(option) if isinstance(option, str | Path | int | float) else f"({type(option).__name__} in memory)"
