"""The report in a browser."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.gallery.galleries import HOSTILE
from tests.gallery.pages import expect_count
from tests.probing.report.reports import TRIED, four_standings, make_reported, make_values, write_report

from saev.probing.report.reported import kinds_of
from saev.probing.verdicts.result import Confounder

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(tmp_path_factory.mktemp("report") / "a report #1.html", *four_standings())


def style(page: "Page", selector: str, name: str) -> Any:
    return page.evaluate("([s, n]) => getComputedStyle(document.querySelector(s))[n]", [selector, name])


def test_the_overview_tells_verdicts_apart_without_colour(index: Path, open_page: Open) -> None:
    page = open_page(index)
    rows = page.locator("#overview tbody tr:not(.scale)")
    names = ["confirmed", "rejected", "undecided", "exploratory"]
    assert [row.get_attribute("data-standing") for row in rows.all()] == names
    links = [row.locator("a").inner_text() for row in rows.all()]  # as the style sheet shows them
    assert links == ["stripes", "dots", "spots", "stripes"]
    badges = [row.locator(".badge").inner_text() for row in rows.all()]
    assert [badge.split()[1] for badge in badges] == names
    assert len({badge.split()[0] for badge in badges}) == 4
    borders = [style(page, f".badge.{name}", "borderTopStyle") for name in names]
    assert borders == ["solid", "solid", "dashed", "dotted"]
    assert style(page, ".badge.confirmed", "backgroundColor") != style(page, ".badge.rejected", "backgroundColor")
    assert " ".join(page.locator(".counts > span").all_inner_texts()).split() == [
        part for name in badges for part in (*name.split(), "1")
    ]


def test_from_the_overview_to_a_hypothesis_and_back_by_keyboard(index: Path, open_page: Open) -> None:
    page = open_page(index)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "#hypothesis-latent-2":
            break
    page.keyboard.press("Enter")
    article = page.locator("article#hypothesis-latent-2")
    bar = page.locator(".bar").bounding_box()
    box = article.bounding_box()
    assert box is not None
    assert bar is not None
    assert abs(box["y"] - bar["height"]) < 30
    assert article.locator("h2").inner_text() == "dots"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('article').id") == "hypothesis-latent-2"
    article.locator(".back a").click()
    assert page.evaluate("location.hash") == "#overview"


def test_the_filter_shows_some_verdicts_alone_and_a_link_shows_its_own(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert page.locator("#filter-verdict option").all_inner_texts() == [
        "any verdict",
        "confirmed",
        "rejected",
        "undecided",
        "exploratory",
    ]
    page.select_option("#filter-verdict", "rejected")
    for kind in ("#overview tbody tr:not(.scale):visible", "article:visible"):
        assert [one.get_attribute("data-standing") for one in page.locator(kind).all()] == ["rejected"]
    page.evaluate("location.hash = '#hypothesis-latent-3'")
    page.locator("article#hypothesis-latent-3").wait_for()
    assert page.locator("#filter-verdict").input_value() == ""
    expect_count(page, "article:visible", 4)


def test_latents_are_linked_where_the_run_has_a_gallery(index: Path, tmp_path: Path, open_page: Open) -> None:
    assert "in the gallery" not in index.read_text(encoding="ascii")
    gallery = tmp_path / "a run" / "features" / "an sae"
    gallery.mkdir(parents=True)
    (gallery / "index.html").write_text("<!doctype html><title>A gallery</title>", encoding="utf-8")
    reported = make_reported(latents={"any": [7, 9], "unless": [3]})
    (tmp_path / "reports").mkdir()
    page = open_page(write_report(tmp_path / "reports" / "x.html", reported, sae=tmp_path / "a run/saes/an sae"))
    links = page.locator("article .over a")
    assert links.all_inner_texts() == ["7", "9", "3"]
    assert page.locator("#filter-verdict").count() == 0
    links.nth(1).click()
    page.wait_for_url(gallery.as_uri() + "/index.html#latent=9")


def test_marks_stand_where_the_numbers_say(index: Path, open_page: Open) -> None:
    page = open_page(index)
    first = page.locator("article").first

    def centre(selector: str) -> float:
        box = first.locator(selector).first.bounding_box()
        assert box is not None
        return box["x"] + box["width"] / 2

    zero, smallest = centre(".row-effect .zero"), centre(".row-effect .smallest")
    unit = (smallest - zero) / 0.2
    assert centre("path.effect") - zero == pytest.approx(0.62 * unit, abs=1)
    assert centre(".row-effect .interval") - zero == pytest.approx((0.41 + 0.8) / 2 * unit, abs=1)
    assert centre("path.end") - zero == pytest.approx(0.21 * unit, abs=1)
    assert centre("circle.point") - zero == pytest.approx(0.15 * unit, abs=1)  # the confounder
    words = first.locator(".forest:not(.all) tbody th").all_inner_texts()
    assert [word.lower() for word in words] == [
        "this hypothesis",
        "random latents",
        "confounder: class only",
        "linear probe",
    ]


def test_what_a_hypothesis_has_and_has_not(index: Path, open_page: Open) -> None:
    page = open_page(index)
    confirmed, _, undecided, exploratory = (page.locator("article").nth(place) for place in range(4))
    n_hits = int(kinds_of(make_values())["Hits: it fires, and should"].sum())
    some = f"(3 of {n_hits}, evenly from the largest value to the smallest)"
    assert confirmed.locator("h3").first.inner_text() == f"Hits: it fires, and should {some}"
    assert "Unsure, left out" in confirmed.locator(".facts").inner_text()
    assert "about 1,234" in undecided.locator(".facts").inner_text()
    assert "No pictures that are hard to tell apart were tested." in undecided.inner_text()
    assert "too few labels" in undecided.inner_text()
    assert "No earlier test of this attribute on any of these pictures is noted" in confirmed.inner_text()
    tried = exploratory.get_by_role("table", name="Tests on these pictures before")
    assert TRIED.date in tried.inner_text()
    assert "The claim holds where the curve lies under it." in exploratory.inner_text()
    again = page.locator(".again")
    assert "saev probe test --sae 'RUN/saes/a b' --answers a.csv --answers b.csv" in again.inner_text()
    assert "of labels within values of site" in again.inner_text()
    for digest in "1346":
        assert digest * 64 in again.inner_text()


def test_heatmaps_by_box_and_by_key(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert page.locator(".heat").count() == 2 * 4 * 4  # two of three pictures, four kinds, four hypotheses
    assert style(page, ".heat", "visibility") == "visible"
    page.keyboard.press("h")
    assert style(page, ".heat", "visibility") == "hidden"
    page.click("text=Heatmaps")
    assert style(page, ".heat", "visibility") == "visible"
    expect_count(page, ".gone", 4 * 4)


def test_on_paper_everything_is_open_and_drawn(index: Path, open_page: Open) -> None:
    page = open_page(index)
    expect_count(page, "details[open]", 0)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect_count(page, "details:not([open])", 0)
    page.emulate_media(media="print")
    assert style(page, "rect.share", "display") != "none"
    assert style(page, ".track .point", "display") != "none"
    page.emulate_media(media="screen")


def test_texts_of_users_stay_texts(index: Path, tmp_path: Path, open_page: Open) -> None:
    texts = [text.replace("\udcff", "\ufffd") for text in HOSTILE]
    page = open_page(index)
    for text, shown in zip(HOSTILE, texts, strict=True):
        values = make_values(text=text, attribute=text)
        made = make_reported(values, [text, text], confounders=(Confounder(f"{text} only", 0.1, text),), reason=text)
        page.goto(write_report(tmp_path / "report.html", made).as_uri())
        assert page.locator("h2 bdi").nth(0).text_content() == shown
        assert page.locator(".reason").text_content() == shown
        assert page.locator(".examples img[alt]").first.get_attribute("alt") == shown
        assert page.locator(".examples .name").first.get_attribute("title") == shown
        assert page.locator(".forest:not(.all) th bdi").nth(2).text_content() == f"Confounder: {shown} only"
        assert page.evaluate("document.documentElement.scrollWidth") <= 1200


def test_it_reads_without_scripts_and_fits_a_phone(index: Path, browser: Any, open_page: Open) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(index.as_uri())
        assert page.locator("article").nth(3).locator("h2").is_visible()
        page.uncheck("#heat-on")
        assert not page.locator(".heat").first.is_visible()
    page = open_page(index, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
