"""What edits of pictures do to a hypothesis, as HTML."""

from saev.probing.report.drawing import number, p_value, value
from saev.probing.report.pictures import figure
from saev.probing.report.reported import Reported, ShownPairs
from saev.probing.report.tables import table
from saev.probing.verdicts.edit_effects import EditEffect
from saev.probing.verdicts.result import Result

_NOTE = """Each edit goes with a placebo: the same picture in another light, where the edit changed it and as strongly.
The effect is the mean value on edited pictures less that on placebos; of an edit that should not matter, less that on
originals. It is in per cent of the originals' mean value, or of the threshold where the latents should be silent on
originals. An edit does as claimed if it moves the latents in that direction by 20 % or more, both from originals and
from placebos, and p allows it; one that should not matter, if it moves their mean by less than 20 %, with 95 %
confidence. p is by flips of signs, and corrected for the edits and for all hypotheses of the file. Pairs stand beside
the verdict, and decide nothing."""
_CHOSEN = "Pictures were chosen by what they show, not by what the latents do on them."
_CHOSEN_BY_VALUE = (
    "Pictures are those that people found to fit. They count by the weights of their strata, but for how many do as "
    "claimed."
)
_COLUMNS = (
    "Edit",
    "Original &rarr; edited (placebo)",
    "Fires on",
    "Effect, in %",
    "As claimed",
    "p, corrected",
    "Finding",
)


def edits(one: Reported) -> str:
    """What edits do: a table, and pairs of each; nothing where there are no pairs."""
    result = one.result
    if not result.edits:
        return ""
    rows = [_row(effect, result) for effect in result.edits]
    shown = "".join(_pairs(own, result.threshold) for own in one.pairs if own.pairs)
    chosen = _CHOSEN_BY_VALUE if one.values.made.asks_people else _CHOSEN
    return f'{table("Edited pictures, in pairs", _COLUMNS, rows)}<p class="note">{_NOTE} {chosen}</p>{shown}'


def _row(one: EditEffect, result: Result) -> tuple[str, ...]:
    weaker = ", placebo weaker" if one.placebo_strength < 0.9 * one.strength else ""
    finding = "exploratory" if result.exploratory else one.finding
    return (
        f"{one.name}<br><small>{_should(one, result)}{weaker}</small>",
        f"{value(one.before)} &rarr; {value(one.after)} <small>({value(one.placebo)})</small>",
        f"{100 * one.fires_before:.0f} &rarr; {100 * one.fires_after:.0f} % "
        f"<small>({100 * one.fires_placebo:.0f} %)</small>",
        _effect(one),
        f"{round(one.share_as_claimed * one.n):,} of {one.n:,}",
        "" if one.p_corrected is None else p_value(one.p_corrected),
        f"<strong>{finding.capitalize()}</strong>" if finding == "as claimed" else finding.capitalize(),
    )


def _effect(one: EditEffect) -> str:
    if one.reference <= 0:  # nothing that it could be a share of
        return f"{value(one.effect)} <small>not in %</small>" if one.effect else "nothing fires"
    effect, low, high = (number(100 * x / one.reference, 0) for x in (one.effect, one.low, one.high))
    return f"<strong>{effect}</strong> <small>{low} to {high}</small>"


def _should(one: EditEffect, result: Result) -> str:
    if one.expected == "keeps":
        return "should not matter"
    rises = (one.expected == "adds") == (result.claim == "fires on")
    return "should strengthen" if rises else "should weaken"


def _pairs(shown: ShownPairs, threshold: float) -> str:
    pairs = "".join(
        f'<div class="examples pair">{"".join(figure(one, threshold) for one in pair)}</div>' for pair in shown.pairs
    )
    return (
        f'<section class="kind"><h3>{shown.name} <span class="soft">(evenly from the pair that loses most to the one '
        f'that gains most: original, edited, placebo)</span></h3><div class="pairs">{pairs}</div></section>'
    )
