"""Pictures of a report, as HTML."""

import html

from saev.pages.embedding import data_uri, user_text
from saev.probing.report.drawing import value
from saev.probing.report.reported import Kind, ShownPicture
from saev.probing.report.tables import role_words


def kind_of_pictures(kind: Kind, threshold: float) -> str:
    """Pictures that say the same of a claim, under their heading."""
    n = len(kind.pictures)
    some = f"{kind.n:,}" if n == kind.n else f"{n:,} of {kind.n:,}, evenly from the largest value to the smallest"
    figures = "".join(figure(one, threshold) for one in kind.pictures)
    return (
        f'<section class="kind"><h3>{kind.title} <span class="soft">({some})</span></h3>'
        f'<div class="examples">{figures}</div></section>'
    )


def figure(one: ShownPicture, threshold: float) -> str:
    """A picture under its heatmap, with the value of the latents, which fire above the threshold."""
    name = html.escape(one.name)
    if one.jpeg is None:
        inside = '<p class="gone">gone, or another picture by now</p>'
    else:
        inside = f'<img src="{data_uri(one.jpeg, "image/jpeg")}" alt="{name}">'
    if one.heat is not None:
        inside += f'<img class="heat" src="{data_uri(one.heat, "image/png")}" alt="">'
    roles = ", ".join(html.escape(role_words(role)) for role in one.roles if role != "sample")
    state = "fires" if one.value > threshold else "under the threshold" if one.value > 0 else "silent"
    return (
        f'<figure><div class="picture">{inside}</div><figcaption><span><strong>{value(one.value)}</strong> {state}'
        f"{f' &middot; {roles}' if roles else ''}</span>"
        f'<span class="name" title="{name}">{user_text(one.name)}</span></figcaption></figure>'
    )
