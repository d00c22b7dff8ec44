"""One hypothesis of a report, as HTML."""

import html

from saev.pages.embedding import user_text
from saev.probing.report.badges import badges, standing
from saev.probing.report.drawing import number, p_value
from saev.probing.report.edits import edits
from saev.probing.report.forest import forest
from saev.probing.report.pictures import kind_of_pictures
from saev.probing.report.plots import curve, distribution
from saev.probing.report.reported import Reported
from saev.probing.report.tables import frozen, hard_negatives, sanity, scores, tried
from saev.probing.verdicts.result import Result


def section(one: Reported, gallery: str | None = None, strata: str | None = None) -> str:
    """All that is said of a hypothesis.

    Args:
        one: The hypothesis.
        gallery: Address of a gallery of the SAE, from the report on.
        strata: The confounder within whose values the effect was measured, if any.
    """
    result = one.result
    name = standing(result)
    return f"""<article id="{anchor(result)}" data-standing="{name}" aria-labelledby="title-{result.id}">
<header>
<p class="over">{badges(result)} <span class="soft">{_claim_words(result)}</span>{_of_gallery(result, gallery)}</p>
<h2 id="title-{result.id}">{user_text(result.text)}</h2>
<p class="reason">{user_text(result.reason)}</p>
{_facts(result)}
</header>
{forest(one, strata)}
{hard_negatives(result)}
<div class="plots">
<figure>{distribution(one)}<figcaption>{_of_values(result)}</figcaption></figure>
<figure>{curve(one)}<figcaption>{_of_curve(result)}</figcaption></figure>
</div>
{_pictures(one)}
{edits(one)}
{scores(result, strata)}
{sanity(result.sanity)}
{tried(result)}
{frozen(one)}
<p class="back"><a href="#overview">Back to all hypotheses</a></p>
</article>
"""


def anchor(result: Result) -> str:
    """Where a hypothesis stands in the page; ids are letters, digits, "_" and "-"."""
    return f"hypothesis-{result.id}"


def latent_words(result: Result) -> str:
    """The latents of a hypothesis."""
    some, unless = result.latents["any"], result.latents["unless"]
    latents = f"latent{'s' if len(some) > 1 else ''} {' or '.join(map(str, some))}"
    return f"{latents}, unless {' or '.join(map(str, unless))} fires," if unless else latents


def _claim_words(result: Result) -> str:
    source, name = result.attribute["source"], result.attribute["name"]
    return f"{latent_words(result)} {result.claim} {user_text(name)} ({html.escape(source)})"


def _of_gallery(result: Result, gallery: str | None) -> str:
    """Links to the latents in a gallery."""
    if gallery is None:
        return ""
    latents = (*result.latents["any"], *result.latents["unless"])
    links = (f'<a href="{html.escape(gallery)}#latent={latent}">{latent}</a>' for latent in latents)
    return f' <span class="soft">in the gallery: {", ".join(links)}</span>'


def _facts(result: Result) -> str:
    facts = [
        ("Effect (MCC)", number(result.effect)),
        ("95 % interval", f"{number(result.interval[0])} to {number(result.interval[1])}"),
        ("p, corrected", p_value(result.p_corrected)),
        ("Pictures", f"{result.n:,}"),
        ("With the attribute", f"{result.n_positive:,}"),
    ]
    if (by := result.labeller) is not None:
        facts.append(("Labelled by", user_text(by.clip.ckpt)))
        facts.append((f"Has it, by that CLIP, of {by.n_test:,} pictures", f"{100 * by.test_rate:.1f} %"))
    if result.n_needed is not None:
        facts.append(("Pictures that would decide it", f"about {result.n_needed:,}"))
    for words, n in (
        ("Unsure, left out", result.n_unsure),
        ("Without an answer", result.n_unanswered),
        ("In no known stratum, left out", result.n_no_stratum),
        ("Never recorded, run through the ViT", result.n_unrecorded),
        ("Tested on other pictures before, in tests", result.n_earlier),
    ):
        facts += [(words, f"{n:,}")] if n else []
    return f'<dl class="facts">{"".join(f"<div><dt>{name}</dt><dd>{said}</dd></div>" for name, said in facts)}</dl>'


def _of_values(result: Result) -> str:
    unit = "in units of their thresholds" if len(result.latents["any"]) > 1 else "pooled over the picture"
    return (
        f"Values {unit}, of pictures that have the attribute (yes) and that have not (no). The first column holds "
        "those at 0; each row adds up to 100 % of its pictures."
    )


def _of_curve(result: Result) -> str:
    scores = result.scores
    said = (
        f"The diamond is the frozen threshold: precision {number(scores.precision)}, recall {number(scores.recall)}. "
        f"Chance is the dashed line."
    )
    if result.claim == "does not fire on":
        said += " The claim holds where the curve lies under it."
    return said


def _pictures(one: Reported) -> str:
    if not one.kinds:
        return '<p class="note">No pictures are shown of this hypothesis.</p>'
    note = '<p class="note">Heatmaps: the brightest colour is the largest value on a patch of the pictures below.</p>'
    return note + "".join(kind_of_pictures(kind, one.result.threshold) for kind in one.kinds)
