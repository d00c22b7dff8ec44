"""The gallery in a real browser, from the file system: what it says, its routes and its keys."""

from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.galleries import make_gallery, make_pictures, write
from tests.gallery.pages import expect_count, expect_listed, expect_text

pytestmark = pytest.mark.browser


def test_overview_says_what_there_is_and_all_that_is_used_has_a_name(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert page.title() == "A gallery"
    expect_text(page, "#title", "A gallery")
    assert "ViT-B-32/openai" in page.locator("#facts").inner_text()
    expect_text(page, "#counts", "40 latents: 36 alive, 4 dead (on no token looked at), 4 with pictures.")
    assert page.locator("#table").get_attribute("href") == "latents.csv"
    assert page.locator("#missing-pictures").is_hidden()
    expect_count(page, ".card .picture img", 16)
    card = page.locator("li[data-latent='17']")
    assert card.locator(".words").inner_text() == "stripes fish: 90\u202f% of its top tenth, AP .73"
    frequency = make_gallery().frequency[17]
    assert (
        card.locator(".numbers").inner_text().startswith(f"{100 * frequency:.2g}\u202f% tokens \u00b7 80\u202f% images")
    )
    unnamed = page.evaluate("""[...document.querySelectorAll("input, select, button, textarea, a, img")].filter((one) =>
        !(one.getAttribute("aria-label") ?? one.alt ?? "").trim() && !one.textContent.trim() && !one.labels?.length
    ).map((one) => one.outerHTML)""")
    assert unnamed == []
    places = "[...document.querySelectorAll('#cards li')].map((card) => `${card.ariaPosInSet}/${card.ariaSetSize}`)"
    assert page.evaluate(places) == ["1/4", "2/4", "3/4", "4/4"]
    assert page.locator("#list-count[role='status']").count() == 1
    expect_count(page, "canvas[role='img']:not([aria-label])", 0)


def test_missing_pictures_are_counted_and_shown_as_tiles(tmp_path: Path, open_page: Open) -> None:
    page = open_page(write(tmp_path / "g", pages=[6], pictures=make_pictures()[2:]))
    assert "2 of 6 pictures are missing" in page.locator("#missing-pictures").inner_text()
    expect_count(page, ".card .missing", 2)
    expect_count(page, ".card img", 2)


def test_missing_data_are_told(tmp_path: Path, open_page: Open, complaints: list[str]) -> None:
    index = write(tmp_path / "g")
    (tmp_path / "g" / "data" / "latents" / "000017.js").unlink()
    page = open_page(index)
    expect_text(page, "li[data-latent='17'] .thumbs", "data/latents/000017.js is missing from this gallery's folder.")
    expect_count(page, ".card .picture img", 12)
    (tmp_path / "g" / "data" / "overview.js").write_text("saevTake({", encoding="utf-8")
    page = open_page(index)
    assert "cannot be shown. data/overview.js" in page.locator("#loading").inner_text()
    assert page.locator("#overview").is_hidden()
    assert complaints != []
    complaints.clear()


def test_nothing_to_show_is_said(tmp_path: Path, open_page: Open) -> None:
    zeros = np.zeros(40)
    dead = make_gallery(frequency=zeros, image_frequency=zeros, mean_value=zeros, max_value=zeros, labels=[], names={})
    page = open_page(write(tmp_path / "g", dead, pages=[], pictures=[]))
    expect_text(page, "#counts", "40 latents: 0 alive, 40 dead (on no token looked at), 0 with pictures.")
    expect_text(page, "#plots", "No latent fired, so there is nothing to plot.")
    expect_text(page, "#list-count", "40 of 40 latents")
    assert page.locator("li[data-latent='0']").inner_text().endswith("dead: it never fired")
    assert page.locator("#heat-controls").is_hidden()


def test_routes_show_their_view_and_nothing_else(index: Path, open_page: Open) -> None:
    page = open_page(index, "#latent=17")
    for fragment, view, title in (
        ("#latent=25", "latent", "Latent 25 \u00b7 A gallery"),
        ("#picture=3", "picture", "Picture 3 \u00b7 A gallery"),
        ("#picture=3&latent=17", "picture", "Picture 3 \u00b7 Latent 17 \u00b7 A gallery"),
        ("#compare=other%20one", "compare", "Comparison with other one \u00b7 A gallery"),
        ("#", "overview", "A gallery"),
    ):
        page.evaluate(f"location.hash = '{fragment}'")
        page.wait_for_selector(f"[data-view='{view}'] #{view}:not([hidden])")
        expect_count(page, "main:not([hidden])", 1)
        assert page.title() == title


def test_back_from_a_latent_finds_the_same_list_and_place(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index)
    page.select_option("#sort-key", "index")
    page.fill("#value-to", "8")
    expect_text(page, "#list-count", "35 of 40 latents")
    page.evaluate("scrollTo(0, 900)")
    latent = page.evaluate("document.elementFromPoint(700, 500).closest('li').dataset.latent")
    place = page.evaluate("scrollY")
    assert place == 900
    page.mouse.click(700, 500)
    page.wait_for_selector(f"#latent h1:text-is('Latent {latent}')")
    assert page.evaluate("[scrollY, document.activeElement.tagName]") == [0, "H1"]
    page.go_back()
    page.wait_for_selector("#overview:not([hidden])")
    assert page.evaluate("[scrollY, document.activeElement.getAttribute('href')]") == [place, f"#latent={latent}"]
    page.reload()
    page.wait_for_selector("#overview:not([hidden])")
    expect_text(page, "#list-count", "35 of 40 latents")
    assert page.input_value("#value-to") == "8"
    assert page.input_value("#sort-key") == "index"
    assert page.evaluate("scrollY") == place
    page.goto(f"{page.url.partition('#')[0]}#latent={latent}")
    page.reload()
    page.wait_for_selector("#latent h1")
    page.evaluate("location.hash = '#kind=dead'")  # a link, which says more than what the tab remembers
    expect_text(page, "#list-count", "4 of 40 latents")


def test_back_to_a_view_that_loads_waits_for_it(index: Path, open_page: Open) -> None:
    page = open_page(index)
    scroll = page.evaluate("""async () => {
      const { router } = app;
      router.name = "latent";
      document.getElementById("latent").hidden = false;
      const high = Object.assign(document.createElement("div"), { className: "high" });
      high.style.height = "5000px";
      await router.arrive(new Promise((done) => setTimeout(() => { document.body.append(high); done(); }, 50)), 3000);
      return scrollY;
    }""")
    assert scroll == 3000


def test_keys_leaf_through_in_the_order_of_the_list(index: Path, open_page: Open) -> None:
    page = open_page(index)
    expect_listed(page, [6, 17, 25, 33])
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    for key, latent in (("End", 17), ("ArrowRight", 25), ("ArrowRight", 33), ("ArrowRight", 33), ("ArrowLeft", 25)):
        page.keyboard.press(key)
        page.wait_for_selector(f"#latent h1:text-is('Latent {latent}')")
    page.keyboard.press("Escape")  # one step back however many were leafed through
    page.wait_for_selector("#overview:not([hidden])")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#latent=25"
    page.fill("#filter-search", "25")
    page.keyboard.press("Enter")  # a whole number opens its latent, also among others that begin with it
    page.wait_for_selector("#latent .examples .example")
    page.locator("#latent .examples .example").nth(1).click()
    page.wait_for_selector("#picture:not([hidden])")
    for key, place in (("ArrowLeft", 0), ("ArrowLeft", 0), ("ArrowRight", 1), ("ArrowRight", 2)):
        page.keyboard.press(key)
        page.wait_for_url(f"**#picture={place}&latent=25")
    page.keyboard.press("Escape")
    page.wait_for_selector("#latent:not([hidden])")
    page = open_page(index, "#picture=0")  # of no latent: by number
    page.click("#picture button:text-is('Next \u2192')")
    page.wait_for_url("**#picture=1")
    page = open_page(index, "#latent=33")  # a link from elsewhere: back is the overview
    page.keyboard.press("Escape")
    page.wait_for_selector("#overview:not([hidden])")


def test_h_switches_heatmaps_and_question_mark_helps(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.keyboard.press("h")
    assert not page.is_checked("#heat-on")
    assert page.evaluate("document.documentElement.dataset.heat") == "off"
    page.fill("#filter-search", "")
    page.keyboard.type("h?s")  # letters belong to the field that is written in
    assert page.input_value("#filter-search") == "h?s"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert "star the latent" in page.locator("dialog[open]").inner_text()
    page.keyboard.press("h")
    assert not page.is_checked("#heat-on")
    page.keyboard.press("Escape")
    expect_count(page, "dialog[open]", 0)


def test_theme_follows_the_system_or_the_user(index: Path, open_page: Open) -> None:
    page = open_page(index)
    theme = "document.documentElement.dataset.theme"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme='dark']")  # the page is told in its own time
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(236, 238, 240)"
    page.click("#theme")
    expect_text(page, "#theme", "Theme: light")
    assert page.evaluate(theme) == "light"
    page.reload()
    expect_text(page, "#theme", "Theme: light")
    assert page.evaluate(theme) == "light"
