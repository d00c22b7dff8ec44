"""Heatmaps in the page, pixel by pixel."""

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.browsing import Open
from tests.gallery.detail_galleries import GREY, GRID, N_LATENTS, other_sae, overview, page, pictures, write
from tests.gallery.pages import expect_text

from saev.pages.heatmap import overlay_table

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

ALONE = [page(i) for i in (6, 17, 25, 33)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("gallery") / "a gallery #1", pages=ALONE)


def ready(locator: "Locator") -> "Locator":
    """The picture once its image is decoded."""
    locator.locator("img").first.evaluate("(image) => image.decode()")  # it may come after its frame
    return locator


def pixels(locator: "Locator") -> np.ndarray:
    shot = Image.open(io.BytesIO(ready(locator).screenshot())).convert("RGB")
    return np.asarray(shot, dtype=float)


def blended(level: int, colour_map: str = "inferno", opacity: float = 0.6) -> np.ndarray:
    """The colour that a level has over grey, as `heatmap.overlay` blends it."""
    rgba = overlay_table(colour_map)[level].astype(float)
    alpha = rgba[3] / 255 * opacity
    return GREY * (1 - alpha) + rgba[:3] * alpha


def patch_colours(shot: np.ndarray, edge: int = 4) -> np.ndarray:
    """Colours of the patches (3, 5, 3), which must be the same all over each patch but for `edge` pixels around it.

    Corners are round.
    """
    height, width = shot.shape[:2]
    colours = np.zeros((*GRID, 3))
    for r, c in np.ndindex(GRID):
        rows = slice(int(np.ceil(r * height / GRID[0])) + edge, int((r + 1) * height / GRID[0]) - edge)
        columns = slice(int(np.ceil(c * width / GRID[1])) + edge, int((c + 1) * width / GRID[1]) - edge)
        area = shot[rows, columns].reshape(-1, 3)
        assert len(area) > 0
        assert np.ptp(area, axis=0).max() <= 6, f"patch {r}, {c} has several colours"
        colours[r, c] = area.mean(0)
    return colours


def expected_colours(latent: int, colour_map: str = "inferno", opacity: float = 0.6, least: int = 0) -> np.ndarray:
    table = np.tile(blended(0, colour_map, opacity), (15, 1))
    table[latent % 15] = blended(255, colour_map, opacity)
    if least <= 128:
        table[(latent + 1) % 15] = blended(128, colour_map, opacity)
    return table.reshape(*GRID, 3)


def show(opened: "Page", latent: int) -> None:
    opened.evaluate("(latent) => { location.hash = `#latent=${latent}`; }", latent)
    opened.wait_for_selector(f"#latent h1:text-is('Latent {latent}')")


def test_a_latent_lights_exactly_its_patch(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=17", width=1440)
    for latent, picture in ((17, 0), (17, 1), (6, 0), (25, 1), (33, 0)):
        show(opened, latent)
        shape = (100 / 60, 90 / 96)[picture]  # the second one's patches are not square
        shot = pixels(opened.locator(".examples .picture").nth(picture))
        assert abs(shot.shape[1] / shot.shape[0] - shape) < 0.03
        np.testing.assert_allclose(patch_colours(shot), expected_colours(latent), atol=4)
    opened.select_option("#heat-map", "cividis")
    show(opened, 6)  # pictures that are drawn later take the colours too
    shot = pixels(opened.locator(".examples .picture").first)
    np.testing.assert_allclose(patch_colours(shot), expected_colours(6, "cividis"), atol=4)


def test_patches_end_where_they_should(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#picture=0&latent=17", width=1300)  # patch 2 of the first row, then patch 3
    opened.locator("#picture .stage .heat").wait_for()
    opened.locator(".patch-grid").evaluate("(grid) => { grid.hidden = true; }")
    shot = pixels(opened.locator("#picture .stage .picture"))
    lit = np.abs(shot - blended(255)).max(-1) < 8
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    height, width = lit.shape
    assert height > 250
    assert (columns[0], columns[-1] + 1) == pytest.approx((2 * width / 5, 3 * width / 5), abs=1.5)
    assert (rows[0], rows[-1] + 1) == pytest.approx((0, height / 3), abs=1.5)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that another one is compared with."""
    root, pages = tmp_path_factory.mktemp("compared"), [page(i) for i in range(4, N_LATENTS)]
    write(root / "other", overview("Other"), pages=pages)
    return write(root / "g", replace(overview(), others=[other_sae("other")]), pages=pages)


def test_every_heatmap_is_as_large_as_its_picture(compared: Path, open_page: Open) -> None:
    opened = open_page(compared)
    for fragment in ("#latent=17", "#compare=other&latent=24", "#compare=other"):
        opened.evaluate("(hash) => { location.hash = hash; }", fragment)
        view = f"#{fragment[1:].split('=')[0]}:not([hidden]){' .pair-page' if fragment.count('=') == 2 else ''}"
        opened.locator(f"{view} .heat").nth(8).wait_for()
        boxes = opened.locator(f"{view} .picture:has(img):has(.heat)").evaluate_all("""(all) => {
          const box = ({ x, y, width, height }) => [x, y, width, height];
          return all.map((one) => ["img", ".heat"].map((part) => box(one.querySelector(part).getBoundingClientRect())));
        }""")
        assert len(boxes) > 8
        for image, heat in boxes:
            assert heat == pytest.approx(image, abs=0.6), fragment


def test_on_opacity_threshold_and_colours(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=17", width=1440)
    picture = opened.locator(".examples .picture").first
    shown = lambda: patch_colours(pixels(picture))  # noqa: E731
    opened.fill("#heat-opacity", "100")
    np.testing.assert_allclose(shown(), expected_colours(17, opacity=1), atol=4)
    opened.fill("#heat-threshold", "51")  # level 128 is 50.2 %
    np.testing.assert_allclose(shown(), expected_colours(17, opacity=1, least=130), atol=4)
    opened.select_option("#heat-map", "viridis")
    np.testing.assert_allclose(shown(), expected_colours(17, "viridis", 1, least=130), atol=4)
    opened.fill("#heat-threshold", "50")
    np.testing.assert_allclose(shown(), expected_colours(17, "viridis", 1), atol=4)
    opened.fill("#heat-threshold", "100")  # the strongest stays
    np.testing.assert_allclose(shown()[0, 2], blended(255, "viridis", 1), atol=4)
    opened.uncheck("#heat-on")
    np.testing.assert_allclose(shown(), np.full((*GRID, 3), GREY), atol=3)


def test_smooth_has_no_edges(index: Path, open_page: Open) -> None:
    def steepest() -> float:
        row = pixels(opened.locator(".examples .picture").first)[20, 4:-4]
        return float(np.abs(np.diff(row.sum(-1))).max())

    opened = open_page(index, "#latent=17", width=1440)
    sharp = steepest()
    opened.check("#heat-smooth")
    assert steepest() < sharp / 5


def test_controls_are_kept_in_the_browser(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=17", width=1440)
    opened.fill("#heat-threshold", "30")
    opened.fill("#heat-opacity", "85")
    opened.select_option("#heat-map", "viridis")
    opened.select_option("#heat-scale", "p99")
    opened.select_option("#heat-size", "small")
    opened.uncheck("#heat-on")
    opened.check("#heat-smooth")
    again = open_page(index, "#latent=17")
    assert [again.input_value(f"#heat-{name}") for name in ("threshold", "opacity", "map")] == ["30", "85", "viridis"]
    assert not again.is_checked("#heat-on")
    assert again.is_checked("#heat-smooth")
    assert again.evaluate("heatLook") == {"map": "viridis", "threshold": 30, "scale": "p99"}
    assert again.input_value("#heat-size") == "small"


def test_what_was_kept_may_be_anything(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=17", width=1440)
    for kept in ("17", '{"map": "jet", "opacity": "x", "threshold": {}, "scale": "x", "size": 3}', "{"):
        opened.evaluate("(kept) => localStorage.setItem('saev-heat', kept)", kept)
        opened.reload()
        opened.locator(".examples .picture img").first.wait_for()
        chosen = [opened.input_value(f"#heat-{name}") for name in ("map", "scale", "size")]
        assert chosen == ["inferno", "max", "medium"], kept


def test_the_legend_says_the_latents_own_values_and_alt_texts_where_it_fires(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=17", width=1440)
    assert opened.locator("#latent .legend-values").first.inner_text().split() == ["0", "9.00", "18.0"]
    image = opened.locator(".examples img").first
    assert image.get_attribute("alt") == "birds/0.png (birds), fires most in row 1, column 3"
    opened.fill("#heat-threshold", "60")
    colours = opened.evaluate(
        "[...document.querySelector('#latent .scale-bar').getContext('2d').getImageData(0, 0, 256, 1).data]"
    )
    bar = np.array(colours).reshape(256, 4)
    table = overlay_table()
    assert not bar[:153].any()
    assert (bar[153:, 3] == table[153:, 3]).all()


def chosen_scale(opened: "Page", scale: str, legend: str) -> np.ndarray:
    """Levels (3, 5) that the first picture shows on this scale, by its colours; the legend says `legend`."""
    opened.select_option("#heat-scale", scale)
    expect_text(opened, "#latent .legend-values", legend)
    shot = patch_colours(pixels(opened.locator(".examples .picture").first))
    table = np.stack([blended(level) for level in range(256)])
    distances = np.abs(shot[:, :, None] - table).max(-1)
    assert distances.min(-1).max() < 4
    return distances.argmin(-1)


def test_the_scale_says_which_value_has_the_brightest_colour(tmp_path: Path, open_page: Open) -> None:
    weak = np.zeros(GRID, np.uint8)
    weak.flat[[2, 3, 4]] = 90, 45, 200
    weaker = np.zeros(GRID, np.uint8)
    weaker.flat[7] = 30
    one = page(17, percentiles={50: 5.0, 99: 12.0}, heatmaps={0: weak, 1: weaker})  # the largest value is 18
    few = replace(one, samples=[], top={"patch": one.top["patch"][:2]})
    opened = open_page(write(tmp_path / "g", pages=[few]), "#latent=17", width=1440)
    expected = np.zeros((3, *GRID))
    expected[:, 0, 2:] = [[90, 45, 200], [135, 68, 255], [115, 57, 255]]  # of 18, of 12 and of 200 / 255 of 18
    legends = {"max": "09.0018.0", "p99": "06.00\u2265 12.0", "picture": "0largest in each picture"}
    for (scale, legend), levels in zip(legends.items(), expected, strict=True):
        shown = chosen_scale(opened, scale, legend)
        assert (np.abs(shown - levels) <= 6).all(), scale
        assert (shown[levels == 0] == 0).all(), "transparent where nothing fires"
    lit = patch_colours(pixels(opened.locator(".examples .picture").nth(1)))
    np.testing.assert_allclose(lit[1, 2], blended(255), atol=4)
    opened.fill("#heat-threshold", "50")  # of what is brightest
    assert chosen_scale(opened, "p99", legends["p99"])[0, 2:].astype(bool).tolist() == [True, False, True]
    opened.select_option("#heat-scale", "picture")
    opened.evaluate("location.hash = '#picture=0&latent=17'")
    expect_text(opened, "#picture .legend-values", "07.0614.1")


def test_pictures_and_cards_have_three_sizes(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=17", width=1400)
    card_widths, widths = [], []
    for size in ("small", "medium", "large"):
        opened.select_option("#heat-size", size)
        widths.append(opened.locator(".examples .picture").first.evaluate("(one) => one.clientWidth"))
    opened.evaluate("location.hash = ''")
    for size in ("small", "medium", "large"):
        opened.select_option("#heat-size", size)
        card_widths.append(opened.locator(".cards .card").first.evaluate("(one) => one.clientWidth"))
        boxes = opened.locator(".cards li").evaluate_all(
            "(all) => all.map((one) => [one.offsetHeight, one.firstChild.scrollHeight])"
        )
        assert all(inside <= height for height, inside in boxes), size
    assert sorted(widths) == widths
    assert widths[2] > 1.5 * widths[0]
    assert sorted(set(card_widths)) == card_widths


def test_a_picture_that_is_pointed_at_shows_its_strongest_patches(tmp_path: Path, open_page: Open) -> None:
    levels = np.zeros((10, 10), np.uint8)
    levels[4, 0] = 255
    tiles = np.full((100, 100, 3), GREY, np.uint8)
    tiles[20:70, :50] = (200, 40, 40)  # the five rows and columns of patches around it, as far as there are any
    shown = [replace(one, view=Image.fromarray(tiles)) for one in pictures()]
    one = page(17, heatmaps=dict.fromkeys(range(8), levels))
    opened = open_page(write(tmp_path / "g", replace(overview(), grid=(10, 10)), [one], shown), "#latent=17")
    picture = opened.locator(".examples .picture").first
    ready(picture)
    assert np.ptp(pixels(picture)[8:-8, 8:-8], axis=(0, 1)).max() > 100
    still = "document.getAnimations().length === 0"  # the picture grows after a moment
    picture.hover()
    opened.wait_for_function(f"() => document.querySelector('.examples .example:hover') !== null && {still}")
    inner = pixels(picture)[8:-8, 8:-8]
    assert np.abs(inner - (200, 40, 40)).max() < 25
    opened.mouse.move(0, 0)
    opened.wait_for_function(f"() => document.querySelector('.examples .example:hover') === null && {still}")
    assert np.ptp(pixels(picture)[8:-8, 8:-8], axis=(0, 1)).max() > 100


def test_missing_pictures_are_grey_tiles_with_their_heatmaps(tmp_path: Path, open_page: Open) -> None:
    opened = open_page(write(tmp_path / "g", pages=[page(6)], shown=pictures()[2:]), "#latent=6")
    opened.locator("#latent figure img").first.wait_for()
    assert opened.locator("#latent .examples .missing").all_inner_texts() == ["picture missing"] * 2
    tile = opened.locator("#latent .examples .missing").first
    assert tile.locator(".heat").count() == 1
    box = tile.bounding_box()
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(5 / 3, abs=0.05)


def test_a_picture_whose_file_is_gone_becomes_a_tile(tmp_path: Path, open_page: Open, complaints: list[str]) -> None:
    index = write(tmp_path / "g", pages=ALONE)
    for file in (index.parent / "images").iterdir():
        file.unlink()
    opened = open_page(index, "#latent=17", width=1440)
    opened.locator("#latent .examples .missing").first.wait_for()
    assert opened.locator("#latent .examples .missing").first.inner_text() == "picture missing"
    assert opened.locator("#latent .examples .missing img").count() == 0
    assert any("/images/" in text for text in complaints)
    complaints.clear()
