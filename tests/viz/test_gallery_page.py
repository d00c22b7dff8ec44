"""The gallery in a real browser, from the file system."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from saev.viz.gallery import Gallery, Picture, write_gallery

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

Open = Callable[..., "Page"]
pytestmark = pytest.mark.browser

Make = Callable[[Sequence[int]], Gallery]


def expect_count(page: "Page", selector: str, count: int) -> None:
    from playwright.sync_api import expect  # waits without eval, which the page's policy forbids

    expect(page.locator(selector)).to_have_count(count)


def expect_property(locator: "Locator", name: str, value: object) -> None:
    from playwright.sync_api import expect

    expect(locator).to_have_js_property(name, value)


def card_order(page: "Page") -> list[int]:
    return [int(link.get_attribute("data-latent") or "") for link in page.locator("a.card").all()]


def test_overview_says_what_there_is(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert page.locator("h1").first.inner_text() == "A gallery"
    assert "ViT-B-32/openai" in page.locator("#facts").inner_text()
    counts = page.locator("#counts").inner_text()
    assert "40 latents: 36 alive, 4 dead" in counts
    assert "4 with pictures" in counts
    expect_count(page, ".card img", 16)
    for image in page.locator("#cards .card").first.locator("img").all():
        expect_property(image, "naturalWidth", 100)


def test_sorting(index: Path, open_page: Open) -> None:
    page = open_page(index)
    assert card_order(page) == [6, 17, 25, 33]  # mean value, highest first
    for key, descending in (
        ("index", [33, 25, 17, 6]),
        ("frequency", [33, 25, 17, 6]),
        ("maxValue", [6, 17, 25, 33]),
    ):
        page.select_option("#sort-key", key)
        assert card_order(page) == descending
        page.click("#sort-direction")
        assert card_order(page) == descending[::-1]
        page.click("#sort-direction")


@pytest.mark.parametrize(("latent", "n_pictures"), [(17, 6), (20, 0)])
def test_pointing_at_a_point_tells_and_clicking_opens(
    index: Path, open_page: Open, latent: int, n_pictures: int
) -> None:
    page = open_page(index)
    x, y = page.evaluate(f"scatter.position({latent})")
    page.hover("#scatter", position={"x": x, "y": y})
    assert page.locator(".tooltip strong").inner_text() == f"Latent {latent}"
    page.click("#scatter", position={"x": x, "y": y})
    page.wait_for_selector(f"#latent h1:text-is('Latent {latent}')")
    assert page.url.endswith(f"#latent={latent}")
    expect_count(page, "#latent figure", n_pictures)
    page.go_back()
    page.wait_for_selector("#overview:not([hidden])")
    assert page.locator("#latent").is_hidden()


def test_tooltip_of_an_outer_point_stays_within_the_plot(index: Path, open_page: Open) -> None:
    page = open_page(index)
    plot = page.locator("#scatter").bounding_box()
    for latent in (4, 39):  # top left and bottom right
        x, y = page.evaluate(f"scatter.position({latent})")
        page.hover("#scatter", position={"x": x, "y": y})
        box = page.locator(".tooltip").bounding_box()
        assert plot is not None
        assert box is not None
        assert plot["x"] <= box["x"] <= plot["x"] + plot["width"] - box["width"]
        assert plot["y"] <= box["y"] <= plot["y"] + plot["height"] - box["height"]


def test_points_stand_where_axes_say(index: Path, open_page: Open) -> None:
    page = open_page(index)
    xs, ys = zip(*page.evaluate("Data.alive.map((i) => scatter.position(i))"), strict=True)
    steps = np.diff(xs)  # frequencies are a geometric sequence, so a log axis spaces them evenly
    assert np.allclose(steps, steps[0], rtol=1e-3)
    assert (np.diff(ys) > 0).all()  # mean values fall, and pixels count downwards
    assert page.evaluate("logTicks(-3.1, 0.2)") == [0.001, 0.01, 0.1, 1]
    assert page.evaluate("logTicks(-0.1, 1.1)") == [1, 2, 5, 10]


def test_arrow_keys_leaf_through_in_the_order_of_the_list(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.focus("a.card[data-latent='17']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#latent h1:text-is('Latent 17')")
    for key, latent in (("ArrowRight", 25), ("ArrowRight", 33), ("ArrowRight", 33), ("ArrowLeft", 25)):
        page.keyboard.press(key)
        page.wait_for_selector(f"#latent h1:text-is('Latent {latent}')")
    page.go_back()
    page.wait_for_selector("#overview:not([hidden])")
    page.keyboard.press("ArrowRight")
    assert page.locator("#latent").is_hidden()


def patch_areas(page: "Page", n_rows: int, n_columns: int) -> np.ndarray:
    """Mean brightness of each patch's inner area in a screenshot of the first picture, (rows, columns)."""
    shot = Image.open(io.BytesIO(page.locator("#latent .picture").first.screenshot())).convert("L")
    pixels = np.asarray(shot, dtype=float)
    rows = np.array_split(np.arange(pixels.shape[0]), n_rows)
    columns = np.array_split(np.arange(pixels.shape[1]), n_columns)
    return np.array([[pixels[np.ix_(r[3:-3], c[3:-3])].mean() for c in columns] for r in rows])


@pytest.mark.parametrize(("latent", "row", "column"), [(17, 0, 2), (6, 1, 1), (25, 2, 0)])
def test_heatmap_lights_exactly_its_patch(index: Path, open_page: Open, latent: int, row: int, column: int) -> None:
    page = open_page(index, f"#latent={latent}")  # fires on patch latent % 15 of a 3 x 5 grid
    expect_property(page.locator("#latent img").first, "naturalWidth", 100)
    levels = page.evaluate(
        "[...document.querySelector('#latent canvas.heat').getContext('2d').getImageData(0, 0, 5, 3).data]"
    )
    alphas = np.array(levels).reshape(3, 5, 4)[..., 3]
    assert np.argwhere(alphas == 255).tolist() == [[row, column]]
    page.fill("#heat-opacity", "100")
    areas = patch_areas(page, 3, 5)
    dark = np.delete(areas.ravel(), 5 * row + column)
    assert areas[row, column] > 220
    assert dark.max() < 60
    page.uncheck("#heat-on")
    assert np.allclose(patch_areas(page, 3, 5), 90, atol=3)


def test_heatmap_edges_are_sharp_unless_smooth(index: Path, open_page: Open) -> None:
    def n_shades() -> int:
        shot = page.locator("#latent .picture").nth(1).screenshot()
        row = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))[20, 8:-8]
        return len(np.unique(row))

    page = open_page(index, "#latent=17")
    expect_property(page.locator("#latent img").nth(1), "naturalWidth", 100)
    assert n_shades() <= 4
    page.check("#heat-smooth")
    assert n_shades() > 10


def test_missing_pictures_become_grey_tiles(
    tmp_path: Path, make_gallery: Make, pictures: list[Picture], open_page: Open
) -> None:
    page = open_page(write_gallery(tmp_path / "g", make_gallery([6]), pictures[2:]), "#latent=6")
    expect_count(page, "#latent figure", 6)
    assert page.locator("#latent .missing").all_inner_texts() == ["picture missing"] * 2


def test_nothing_to_show_is_said(tmp_path: Path, make_gallery: Make, open_page: Open) -> None:
    zeros = np.zeros(40)
    dead = replace(make_gallery([]), frequency=zeros, mean_value=zeros, max_value=zeros)
    page = open_page(write_gallery(tmp_path / "g", dead, []))
    assert "40 latents: 0 alive, 40 dead" in page.locator("#counts").inner_text()
    assert page.locator(".empty").all_inner_texts() == [
        "No latent fired, so there is nothing to plot.",
        "No latent was rendered with pictures.",
    ]
    for fragment, text in (("#latent=3", "never fired"), ("#latent=40", "There is no latent 40")):
        page.evaluate(f"location.hash = '{fragment}'")
        page.wait_for_selector(f"#latent .empty:has-text('{text}')")


def test_cards_load_only_when_they_come_near(
    tmp_path: Path, make_gallery: Make, pictures: list[Picture], open_page: Open
) -> None:
    page = open_page(write_gallery(tmp_path / "g", make_gallery(range(4, 40)), pictures), width=420)
    page.wait_for_selector(".card img")
    assert page.locator(".card img").count() < 36 * 4
    page.locator("a.card").last.scroll_into_view_if_needed()
    expect_count(page, "li:last-child .card img", 4)
