"""Verdicts and seeds in the browser."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.galleries import HOSTILE, N_LATENTS, make_gallery, write
from tests.gallery.pages import expect_count, expect_listed, expect_text

from saev.gallery.data import STANDINGS, Seeds, Verdict

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ONE = Verdict(
    standing="confirmed",
    claim="fires on: stripes",
    any=(6,),
    unless=(),
    effect=0.614,
    interval=(0.5, 0.7),
    p=0.0004,
    n=60,
    reason="It holds.",
    link="../a%20report/index.html#hypothesis-stripes",
)
VERDICTS = [
    ONE,
    replace(ONE, standing="rejected", claim="fires on: fish", any=(17, 6), unless=(25,), link=None),
    replace(ONE, standing="undecided", any=(25,)),
    replace(ONE, standing="exploratory", any=(33,), circular=True),
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = np.arange(N_LATENTS) % 4  # latents 6, 17, 25, 33 in 2, 1, 1, 1 of 3
    cosine = 0.9 - np.arange(N_LATENTS) / 100
    root = tmp_path_factory.mktemp("badges")
    (root / "a report").mkdir()
    (root / "a report" / "index.html").write_text(
        "<!doctype html><title>A report</title><main><h2 id='hypothesis-stripes'>Stripes</h2></main>", encoding="utf-8"
    )
    return write(root / "g", make_gallery(verdicts=VERDICTS, seeds=Seeds(3, 0.7, found, cosine)))


def badge(page: "Page", latent: int) -> str:
    return page.locator(f"li[data-latent='{latent}'] .card-verdict").inner_text()


def test_cards_say_verdicts_in_words_and_signs(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert [badge(page, i) for i in (6, 17, 25, 33)] == [
        "\u2713 confirmed +1",
        "\u2715 rejected",
        "? undecided",
        "\u25cc exploratory \u21bb",
    ]
    words = [page.locator(f"li[data-latent='{i}'] .words").inner_text() for i in (6, 33)]
    assert ["(circular)" in one for one in words] == [False, True]
    assert page.locator("li[data-latent='6'] .words q").inner_text() == "fires on: stripes"
    styles = [
        page.locator(f".verdict.{name}").first.evaluate("(one) => getComputedStyle(one).borderTopStyle")
        for name in STANDINGS
    ]
    assert styles == ["solid", "solid", "dashed", "dotted"]
    box, star = (page.locator(f"li[data-latent='33'] {part}").bounding_box() for part in (".card-verdict", ".star"))
    seeds = page.locator("li[data-latent='33'] .seeds").bounding_box()
    assert box
    assert star
    assert seeds
    assert seeds["x"] + seeds["width"] < box["x"] < box["x"] + box["width"] < star["x"]
    page.fill("#filter-search", "fish")
    expect_listed(page, [6, 17])  # also by a claim that is not the first one


def test_verdicts_filter(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert page.locator("#filter-verdict option").count() == 1 + len(STANDINGS)
    page.select_option("#filter-verdict", "rejected")
    expect_listed(page, [6, 17])
    page.click("#filter-reset")
    expect_listed(page, [6, 17, 25, 33])


def test_the_report_opens(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.click("li[data-latent='6'] .card-verdict a")
    page.wait_for_selector("h2:text-is('Stripes')")
    assert page.url.endswith("/a%20report/index.html#hypothesis-stripes")
    page.goto(index.as_uri() + "#latent=6")
    panel = page.locator("#latent .panel:has(h2:text-is('Verdicts'))")
    panel.wait_for()
    assert panel.locator("li").nth(0).inner_text().split("\n") == [
        "\u2713 confirmed fires on: stripes",
        "",
        "MCC 0.61 (0.50 to 0.70), p <0.001 corrected, 60 pictures",
        "",
        "It holds.",
        "",
        "Report",
    ]
    assert "Latent 17 or 6, unless 25: MCC" in panel.locator("li").nth(1).inner_text()
    assert panel.locator("li").nth(1).locator("a").count() == 0
    panel.locator("text=Report").first.click()
    page.wait_for_selector("h2:text-is('Stripes')")


def test_seeds_filter_and_sort(index: Path, open_page: Open) -> None:
    page = open_page(index)
    expect_text(page, "li[data-latent='6'] .seeds", "2/3 seeds")
    page.select_option("#sort-key", "seeds")
    expect_listed(page, [6, 17, 25, 33])
    page.click("#sort-direction")
    expect_listed(page, [33, 25, 17, 6])
    assert page.locator("#filter-seeds option").all_inner_texts() == [
        "any seeds",
        "in at least 1 of 3 seeds",
        "in at least 2 of 3 seeds",
        "in 3 of 3 seeds",
    ]
    page.select_option("#filter-seeds", "2")
    expect_listed(page, [6])
    page.reload()
    page.wait_for_selector("#cards li")
    expect_listed(page, [6])
    page.goto(index.as_uri() + "#latent=6")
    expect_text(page, "#latent .stats div:last-child dd", "2 of 3 cosine 0.84")


def test_what_there_is_not_is_not_offered(index: Path, tmp_path: Path, open_page: Open) -> None:
    page = open_page(index)
    page.select_option("#sort-key", "seeds")
    page.select_option("#filter-verdict", "rejected")
    page.select_option("#filter-seeds", "1")
    page.goto(write(tmp_path / "g").as_uri())  # the same SAE, rendered anew without
    page.wait_for_selector("#cards li")
    expect_listed(page, [6, 17, 25, 33])
    assert page.locator("#filter-verdict").is_hidden()
    assert page.locator("#filter-seeds").is_hidden()
    assert page.locator("#sort-key option[value=seeds]").count() == 0
    expect_count(page, ".card-verdict, .seeds", 0)


def test_hostile_claims_stay_texts(tmp_path: Path, open_page: Open) -> None:
    verdicts = [replace(ONE, claim=text, reason=text) for text in HOSTILE]
    index = write(tmp_path / "g", make_gallery(verdicts=verdicts))
    page = open_page(index)
    assert page.locator("li[data-latent='6'] .words q bdi").text_content() == HOSTILE[0]
    page.goto(index.as_uri() + "#latent=6")
    claims = page.locator("#latent .verdicts strong bdi")
    expect_count(page, "#latent .verdicts strong bdi", len(HOSTILE))
    assert claims.nth(1).text_content() == HOSTILE[1]
    assert page.locator("script:not([src])").count() == 0
