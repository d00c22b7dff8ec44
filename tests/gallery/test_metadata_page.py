"""Labels of several kinds, and what a table of the user's says of pictures, in the browser."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.galleries import HOSTILE, N_PICTURES, best, make_gallery, write
from tests.gallery.pages import expect_count, expect_listed, expect_text

from saev.latents.metadata import Column

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

KINDS = [best("patches", {6: ("birds", 0.4), 17: ("fish", 0.9)}), best("site", {6: ("north", 0.8), 25: ("south", 0.6)})]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gallery = make_gallery(
        labels=KINDS,
        metadata=[
            Column("wing", ["10", "3.5", "99"], np.array([0, 1, -1, 1, 0, 0])),
            *(Column(text, HOSTILE, np.arange(N_PICTURES)) for text in HOSTILE),
        ],
    )
    return write(tmp_path_factory.mktemp("kinds") / "g", gallery)


def label_of(page: "Page", latent: int) -> str:
    return page.locator(f"#cards li[data-latent='{latent}'] .words span").inner_text()


def test_another_kind_of_labels_is_shown_searched_and_sorted_by(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert label_of(page, 6) == "birds: 40\u202f% of its top tenth, AP .84"
    title = page.locator("#cards li[data-latent='6'] .words span").get_attribute("title") or ""
    assert "40\u202f% of the strongest tenth of what it fires on (40 of 100)" in title
    assert ", ×2 of the share among all; 20\u202f%" in title
    assert "an average precision of .84 (by chance .10)" in title
    assert "q 0.001" in title
    page.select_option("#sort-key", "purity")
    expect_listed(page, [17, 6, 25, 33])
    page.select_option("#label-kind", label="site")
    expect_listed(page, [6, 25, 17, 33])
    assert label_of(page, 6).startswith("north: 80\u202f%")
    expect_count(page, "#cards li[data-latent='17'] .words span", 0)
    page.fill("#filter-search", "north")
    expect_listed(page, [6])
    page.click("#filter-reset")
    page.reload()  # the choice is kept with the order
    page.wait_for_selector("#cards li")
    assert label_of(page, 25).startswith("south: 60\u202f%")


def test_one_kind_of_labels_offers_no_choice(tmp_path: Path, open_page: Open) -> None:
    page = open_page(write(tmp_path / "g"))
    assert page.locator("#label-kinds").is_hidden()


def test_what_is_known_of_a_picture_stands_on_its_page(index: Path, open_page: Open) -> None:
    page = open_page(index, "#picture=1")
    facts = page.locator("#picture .facts > div")
    found = [
        [part.locator("dt bdi").text_content(), part.locator("dd bdi").text_content()]
        for part in (facts.nth(i) for i in range(facts.count()))
    ]
    assert found[0] == ["wing", "3.5"]
    assert len(found) == 1 + len(HOSTILE)
    assert found[1][0] == HOSTILE[0]
    assert {value for _, value in found[1:]} == {HOSTILE[1]}
    page.goto(index.as_uri() + "#picture=2")
    expect_text(page, "#picture h1", "birds/2.png")
    assert page.locator("#picture .facts > div").count() == len(HOSTILE)  # its wing is not known
    assert page.locator("script:not([src])").count() == 0
