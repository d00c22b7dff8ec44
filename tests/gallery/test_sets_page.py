"""Image sets in the browser: the switch, the address, and a latent in all of them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.detail_galleries import N_LATENTS, other_sae, overview, page, pictures, write
from tests.gallery.latent_page import values

from saev.gallery.data import Gallery, LatentExample
from saev.gallery.image_sets import ImageSet, Place

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

FIRST = ImageSet("training", "training", "shards", "a")
SECOND = ImageSet("held_out", "held out", "shards", "b")
TOP = np.arange(N_LATENTS) + 1.0
"""Largest values of the first set; those of the second are 10 less up to latent 19, and 10 more from 20 on."""
OWN = np.where(np.arange(N_LATENTS) < 20, np.maximum(TOP - 10, 0.5), TOP + 10)


def held_out(title: str, **changes: object) -> Gallery:
    found = replace(overview(title), facts={"split": "held out"}, max_value=OWN, scale=TOP, p99=TOP / 2)
    return replace(found, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two SAEs, each with two sets; pictures of the second one have other names and come in another order."""
    root = tmp_path_factory.mktemp("sets")
    names = [f"held/{i}.png" for i in range(8)]
    pages = [page(i, top={"patch": [LatentExample(7 - k, 5.0 - k / 2) for k in range(8)]}) for i in (6, 17, 25, 33)]
    for title, folder in (("A gallery", "one"), ("Other", "two")):
        others = [other_sae("two" if folder == "one" else "one")]
        write(root / folder, replace(overview(title), p99=TOP / 2, others=others), place=Place(FIRST, [FIRST]))
        place = Place.find(root / folder, title, SECOND)
        write(root / folder, held_out(title, others=others), pages, pictures(names), place=place)
    return root / "one" / "index.html"


def switch(opened: "Page", title: str) -> None:
    opened.click(f"#sets a:has-text('{title}')")
    shown(opened, title)


def shown(opened: "Page", title: str) -> None:
    opened.wait_for_selector(f"#sets [aria-current]:has-text('{title}')")


def test_the_switch_shows_the_same_latent_of_another_set(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=25")
    assert values(opened) == [20, 19, 18, 17, 16, 15, 14, 13]
    assert opened.locator("#sets a").all_inner_texts() == ["training", "held out"]
    rows = opened.locator(".set-row")
    rows.nth(1).locator("figure").first.wait_for()
    assert "max 26.0" in rows.nth(0).inner_text() and "max 36.0" in rows.nth(1).inner_text()
    assert rows.nth(1).locator("figure strong").first.inner_text() == "5.00"
    assert rows.nth(1).locator("figcaption .name").first.get_attribute("title") == "held/7.png"
    assert opened.locator("#latent .heat-legend").get_attribute("aria-label") == "Colours from 0 to 26.0"
    opened.fill(".note-text", "of both")
    switch(opened, "held out")
    assert opened.url.endswith("#latent=25&set=held_out")
    assert values(opened) == [5 - k / 2 for k in range(8)]
    assert opened.locator("#latent .stats dd").nth(3).inner_text() == "36.0"
    legend = opened.locator("#latent .heat-legend")
    assert (legend.get_attribute("aria-label"), legend.locator(".legend-note").inner_text()) == (
        "Colours from 0 to \u2265 26.0", 'Scale of "training"'
    )  # fmt: skip
    assert opened.input_value(".note-text") == "of both"
    bar = opened.locator("#bar")
    assert bar.evaluate("(bar) => bar.offsetHeight") < 60, "a switch of sets takes no second line"
    bar.locator("summary").click()
    opened.select_option("#heat-scale", "p99")
    opened.locator("h1:visible").click()
    assert opened.locator("#heat-scale").is_hidden()
    assert legend.get_attribute("aria-label") == "Colours from 0 to \u2265 13.0"
    opened.locator("h1:visible").focus()
    opened.keyboard.press("i")
    shown(opened, "training")
    assert opened.url.endswith("#latent=25")


def test_the_set_stays_until_another_one_is_chosen(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#set=held_out")
    assert opened.locator("#facts").inner_text().split() == ["split", "held", "out"]
    opened.locator("#cards li[data-latent='17'] a.card").click()
    opened.wait_for_url("**#latent=17&set=held_out")
    assert values(opened)[0] == 5
    opened.locator(".examples .example").first.click()
    opened.wait_for_url("**#picture=7&latent=17&set=held_out")
    assert opened.locator("#picture h1").inner_text() == "held/7.png"
    # Level 255 is 18, the first set's largest value, also where the set's own is 8.
    opened.locator(".chosen p:has-text('at most 18.0')").wait_for()
    switch(opened, "training")
    assert opened.url.endswith("#latent=17")  # pictures are others there
    opened.go_back()
    opened.locator("#latent:not([hidden])").wait_for()
    shown(opened, "training")
    assert "set=" not in opened.url
    opened.locator(".set-row a:has-text('held out')").click()
    shown(opened, "held out")
    opened.keyboard.press("Escape")
    opened.locator("#latent:not([hidden]) h1").wait_for()
    shown(opened, "held out")
    opened = open_page(index, "#picture=7&latent=25&set=held_out")
    opened.locator(".chosen p:has-text('up to 26.0 or more')").wait_for()  # of a value up to 36


def test_the_comparison_keeps_the_set_and_a_link_names_it(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#compare=two&latent=33&set=held_out")
    columns = opened.locator(".pair-column")
    columns.nth(1).locator("figure").first.wait_for()
    assert columns.nth(1).locator(".note").inner_text() == "The other one \u00b7 held out"
    assert columns.nth(1).locator("figcaption .name").first.get_attribute("title") == "held/7.png"
    assert columns.nth(1).locator("h2 a").get_attribute("href") == "../two/index.html#latent=6&set=held_out"
    link = columns.nth(0).locator("h2 a")
    assert link.get_attribute("href") == "#latent=33"
    link.hover()
    opened.mouse.down()
    assert link.get_attribute("href") == "#latent=33&set=held_out"
    opened.mouse.up()


def test_a_set_that_is_not_there(index: Path, open_page: Open, complaints: list[str]) -> None:
    opened = open_page(index, "#latent=17&set=nowhere")
    assert 'The image set "nowhere" cannot be shown' in opened.locator("#set-trouble").inner_text()
    assert values(opened)[0] == 20
    shown(opened, "training")


def test_notes_of_sets_that_do_not_keep_to_one_half_say_no_half(index: Path, open_page: Open) -> None:
    opened = open_page(index)
    assert opened.evaluate("app.data.half") is None
    half = "{ seed: 1, group: [] }"
    made = f"[{half}, {half}].map((half) => ({{ folder: '', name: 'a', title: 'a', half }}))"
    assert opened.evaluate(f"new ImageSets('', {made}).half") == {"seed": 1, "group": []}
    assert opened.evaluate(f"new ImageSets('', [...{made}, {{ folder: 'b', name: 'b', half: null }}]).half") is None
