"""Tables of a hypothesis in a report, as HTML."""

import html
import json
from collections.abc import Iterable, Sequence

from saev.pages.embedding import user_text
from saev.probing.report.drawing import number, value
from saev.probing.report.reported import Reported
from saev.probing.statistics.sanity import Sanity
from saev.probing.statistics.verdict import is_unclear
from saev.probing.verdicts.result import HardNegatives, Result

_ROLES = {
    "same-class": "of the same class",
    "hard-near": "looks similar",
    "hard-neighbour": "makes similar latents fire",
}


def role_words(role: str) -> str:
    """Why a picture is hard to tell apart."""
    return _ROLES.get(role, role)


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of HTML cells, of which the first in each row is its heading."""
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    return (
        f'<div class="wide"><table class="plain"><caption>{caption}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def details(summary: str, inside: str) -> str:
    """What is folded until somebody asks for it."""
    return f"<details><summary>{summary}</summary>{inside}</details>"


def hard_negatives(result: Result) -> str:
    """What the latents do on pictures that are hard to tell apart."""
    if not result.roles:
        return '<p class="note">No pictures that are hard to tell apart were tested.</p>'
    columns = ("Should be silent", "Pictures", "Fires on", "Fires more where it should, in points", "Speaks against it")
    return table("Hard pictures", columns, map(_hard_row, result.roles))


def _hard_row(one: HardNegatives) -> tuple[str, ...]:
    difference, low, high = (number(100 * share, 0) for share in (one.difference, one.low, one.high))
    return (
        role_words(one.role).capitalize(),
        f"{one.n:,}",
        f"{100 * one.rate:.0f} %",
        f"{difference} <small>{low} to {high}</small>",
        "<strong>yes</strong>" if one.difference <= 0 else "too few to say" if is_unclear(one.interval) else "no",
    )


def scores(result: Result, strata: str | None = None) -> str:
    """All scores of a hypothesis, folded."""
    whole = "" if strata is None else f"; of all pictures together, not within values of {user_text(strata)}"
    scores = result.scores
    lift = scores.average_precision / scores.prevalence if scores.prevalence > 0 else float("nan")
    rows = [
        (
            "MCC",
            scores.mcc,
            "the verdict rests on this" if strata is None else "the verdict rests on that within these",
        ),
        ("F1", scores.f1, "the harmonic mean of precision and recall"),
        ("IoU", scores.iou, "hits among all pictures that fire or should"),
        ("Precision", scores.precision, "of the pictures on which it fires, those with the attribute"),
        ("Recall", scores.recall, "of the pictures with the attribute, those on which it fires"),
        ("Correlation", scores.correlation, "of the value and the label"),
        (
            "Average precision",
            scores.average_precision,
            f"chance is {number(scores.prevalence)}; {number(lift)} times that",
        ),
        ("AUROC", scores.auroc, "chance is 0.50; blind to missed pictures where the attribute is rare"),
    ]
    return details(
        f"All scores of firing and values with the label, not turned by the claim{whole}",
        table("", ("Score", "Value", "What it is"), [(name, number(x), note) for name, x, note in rows]),
    )


def sanity(found: Sanity | None) -> str:
    """Whether the score notices labels that are wrong."""
    if found is None:
        return '<p class="note">There are too few labels of one kind for a check of the score.</p>'
    fine = "does" if found.passes else "<strong>does not</strong>"
    return (
        f'<p class="note">Check of the labels: the score must fall where they are made wrong, and {fine}. It is '
        f"{number(found.score)} as they are, {number(found.missing)} with half of the positive ones taken away, and "
        f"{number(found.extra)} with as many random ones added.</p>"
    )


def tried(result: Result) -> str:
    """What was tested on the pictures before, as far as ledgers say."""
    if not result.tried:
        return (
            '<p class="note">No earlier test of this attribute on any of these pictures is noted in the ledger of this '
            "set, beside the recording, or beside the set. Tests that were noted elsewhere are not known here.</p>"
        )
    rows = [
        (
            html.escape(one.date),
            html.escape(one.hypothesis),
            one.verdict + (" (exploratory)" if one.exploratory else ""),
            f"<code>{html.escape(one.hypotheses[:16])}</code>",
        )
        for one in result.tried
    ]
    return table("Tests on these pictures before", ("Date", "Hypothesis", "Verdict", "Frozen file"), rows)


def frozen(one: Reported) -> str:
    """What was fixed before the test, folded."""
    hypothesis, made = one.values.hypothesis, one.values.made
    strata = "; ".join(
        f"{stratum.n:,} of {stratum.size:,} with values {value(stratum.low)} to {value(stratum.high)}"
        + ("" if stratum.label is None else f" and the label {'yes' if stratum.label else 'no'}")
        for stratum in made.strata
    )
    latents = hypothesis.latents
    thresholds = zip(latents.all, latents.thresholds or (), strict=True)
    counted = f" above {hypothesis.count_above!r}" if hypothesis.pooling == "count" else ""
    rows = [
        ("Id", html.escape(hypothesis.id)),
        ("Thresholds by latent", ", ".join(f"{latent}: {threshold!r}" for latent, threshold in thresholds)),
        ("Tokens and pooling", f"{hypothesis.tokens}, {hypothesis.pooling}{counted}"),
        ("Smallest effect that matters", repr(hypothesis.smallest_effect)),
        ("Digest of the set", f"<code>{html.escape(one.result.set_digest)}</code>"),
        ("Sample", html.escape(strata)),
        ("How the set was made", f"seed {made.seed}; <code>{html.escape(json.dumps(dict(made.recipe)))}</code>"),
    ]
    return details("As it was frozen, and its set", table("", ("What", "Value"), rows))
