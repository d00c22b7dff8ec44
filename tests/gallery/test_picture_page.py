"""The page of one picture: patches and the latents that fire on them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery import detail_galleries
from tests.gallery.detail_galleries import (
    GRID,
    HOSTILE,
    N_LATENTS,
    N_PATCHES,
    N_PICTURES,
    levels,
    overview,
    page,
    pictures,
    write,
)
from tests.gallery.picture_page import fires, heading, point, shown_levels, told

from saev.gallery import scripts
from saev.gallery.by_picture import Masks
from saev.gallery.data import ShownName
from saev.vit.images.base import NO_LABEL

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("gallery") / "a gallery #1", without_codes=[5])


def expected(patch: int) -> list[tuple[int, str, str]]:
    """What fires on a patch: its latents at their largest value i + 1, then those of the patch before at half."""
    at = {i: int(levels(i).flat[patch]) for i in range(4, N_LATENTS)}
    strongest = sorted((i for i in at if at[i] > 0), key=lambda i: (-at[i], i))
    return [(i, "100 %" if at[i] == 255 else "50 %", show(at[i] / 255 * (i + 1))) for i in strongest]


def show(value: float) -> str:
    text = f"{value:.3g}"
    return text if len(text.replace(".", "")) >= 3 else f"{value:.{3 - len(str(int(value)))}f}"


def test_masks_are_outlined_and_named(tmp_path: Path, open_page: Open) -> None:
    numbers = np.random.default_rng(0).choice([0, 1, 2, NO_LABEL], (N_PICTURES, N_PATCHES)).astype(np.uint8)
    numbers[1] = 1
    numbers[2] = NO_LABEL
    gallery = replace(overview(), masks=Masks(["back <b>", "bird", "sky"], numbers))
    opened = open_page(write(tmp_path / "g", gallery), "#picture=0&latent=6")
    opened.wait_for_selector("#picture .mask-line", state="attached")
    read = opened.evaluate(
        f"Promise.all([...Array({N_PICTURES}).keys()].map(async (i) => [...await app.data.maskOf(i)]))"
    )
    assert read == numbers.tolist()
    grid = numbers[0].reshape(GRID)
    borders = {f"M{c + 1} {r}v1" for r, c in np.argwhere(grid[:, 1:] != grid[:, :-1])}
    borders |= {f"M{c} {r + 1}h1" for r, c in np.argwhere(grid[1:] != grid[:-1])}
    drawn = opened.locator("#picture .mask-line").get_attribute("d") or ""
    assert set(re.findall("M[^M]+", drawn)) == borders
    opened.click(".mask-label:has-text('sky')")  # its patches are a region
    assert heading(opened) == f"Latents in a region of {(numbers[0] == 2).sum()} patches"
    for shown in (False, True):
        opened.keyboard.press("m")
        assert opened.locator("#picture .mask-line").is_visible() == shown
    for picture, text in ((1, "bird 15 patches"), (2, "No patch here has a label.")):
        opened.evaluate(f"() => {{ location.hash = '#picture={picture}'; }}")
        opened.wait_for_selector(f".mask-labels:has-text('{text}')")
        assert opened.locator("#picture .mask-line").get_attribute("d") == ""


def test_the_whole_picture_first_then_the_patch_that_is_pointed_at(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#picture=3")
    assert opened.locator("#picture h1").inner_text() == "birds/3.png"
    assert opened.locator("#picture .label").inner_text() == "birds"
    title, listed = told(opened)
    assert [row[0] for row in listed] == list(range(4, 40))  # each is at its largest value somewhere
    assert {row[1] for row in listed} == {"100 %"}
    assert title == "Latents in the whole picture"
    assert opened.locator("#picture .stage .heat").count() == 0
    lines = opened.locator(".grid-lines").get_attribute("d") or ""
    assert lines.count("V3") == 4
    assert lines.count("H5") == 2
    for patch in (0, 4, 14):
        point(opened, patch)
        assert told(opened) == (f"Latents in row {patch // 5 + 1}, column {patch % 5 + 1}", expected(patch))
    opened.mouse.move(5, 5)
    assert heading(opened) == "Latents in the whole picture"
    point(opened, 7, click=True)  # one that is clicked stays
    point(opened, 9)
    assert fires(opened) == expected(9)
    opened.mouse.move(5, 5)
    assert fires(opened) == expected(7)
    selected = opened.locator(".patch-selected")
    assert [selected.get_attribute(name) for name in ("x", "y", "visibility")] == ["2", "1", "visible"]
    point(opened, 7, click=True)
    opened.mouse.move(5, 5)
    assert heading(opened) == "Latents in the whole picture"


def test_all_of_it_goes_by_keyboard(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#picture=0&latent=17")
    fires(opened)
    opened.focus(".patch-grid")
    steps = ["Down", "Down", "Right", "Down", "Down", "Right", "Up", "Left", "Left", "Left"]
    patches = [0, 5, 6, 11, 11, 12, 7, 6, 5, 5]
    for key, patch in zip(steps, patches, strict=True):
        opened.keyboard.press(f"Arrow{key}")
        assert told(opened) == (f"Latents in row {patch // 5 + 1}, column {patch % 5 + 1}", expected(patch))
    assert opened.locator("#picture [role=status]").inner_text() == "row 2, column 1: 6 latents, first latent 5"
    assert opened.url.endswith("#picture=0&latent=17")
    opened.keyboard.press("Escape")
    assert heading(opened) == "Latents in the whole picture"
    assert opened.url.endswith("#picture=0&latent=17")
    opened.focus(".fire[data-latent='6']")  # a latent is chosen and dropped
    opened.keyboard.press("Enter")
    opened.wait_for_selector(".fire[data-latent='6'][aria-pressed=true]")
    assert (shown_levels(opened) == levels(6)).all()
    opened.keyboard.press("Enter")
    opened.wait_for_selector(".fire[data-latent='6'][aria-pressed=false]")
    assert opened.locator("#picture .stage .heat").count() == 0


def test_clicking_a_latent_shows_where_it_fires(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#picture=1")
    fires(opened)
    point(opened, 9, click=True)
    for latent in (24, 39):  # neither has a page: levels come from the picture's codes
        opened.click(f".fire[data-latent='{latent}']")
        opened.wait_for_selector(f".chosen a[href='#latent={latent}']")
        assert opened.url.endswith(f"#picture=1&latent={latent}")
        assert (shown_levels(opened) == levels(latent)).all()
        assert "on 2 of 15 patches" in opened.locator(".chosen").inner_text()
    assert opened.locator(".fire[aria-pressed=true]").get_attribute("data-latent") == "39"
    assert heading(opened) == "Latents in row 2, column 5"  # the patch stays selected
    assert opened.locator(".chosen .legend-values").inner_text().split() == ["0", "20.0", "40.0"]
    opened.click("text=Hide heatmap")
    assert opened.locator("#picture .stage .heat").count() == 0
    assert opened.url.endswith("#picture=1")
    opened.go_back()  # choosing latents is no step in the history
    assert not opened.url.startswith(index.as_uri())


def test_a_link_to_picture_and_latent(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#picture=2&latent=6")
    assert (shown_levels(opened) == levels(6)).all()
    opened.wait_for_selector(".fire[data-latent='6'][aria-pressed=true]")
    opened.click(".fire-list .row-link >> nth=4")
    opened.wait_for_selector("#latent h1:text-is('Latent 8')")
    opened.go_back()
    opened.wait_for_selector("#picture h1 bdi:text-is('birds/2.png')")
    assert (shown_levels(opened) == levels(6)).all()


def test_long_lists_come_in_parts(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#picture=0")
    opened.locator("#picture .fire").first.wait_for()
    opened.evaluate("() => { PictureView.nRows = 10; }")
    opened.evaluate("() => { location.hash = '#picture=1'; }")
    opened.wait_for_selector("#picture h1 bdi:text-is('birds/1.png')")
    assert len(fires(opened)) == 10
    assert opened.locator("#picture .more").inner_text() == "Show 10 more of 26"
    for n in (20, 30, 36):
        opened.click("#picture .more")
        assert len(fires(opened)) == n
    assert opened.locator("#picture .more").is_hidden()


def says(opened: "Page", latent: int, text: str, picture: int = 0) -> None:
    """What the page says of a latent in a picture."""
    opened.evaluate(f"() => {{ location.hash = '#picture={picture}&latent={latent}'; }}")
    opened.wait_for_selector(f".chosen:has-text('Latent {latent}'):has-text('{text}')")


def test_what_is_said_of_a_latent_with_and_without_lists(index: Path, open_page: Open, complaints: list[str]) -> None:
    opened = open_page(index, "#picture=0&latent=2")
    opened.wait_for_selector(".chosen:has-text('Latent 2'):has-text(': does not fire here')")
    assert (shown_levels(opened) == 0).all()
    says(opened, 34, "on 2 of 15 patches, at most 35.0")
    says(opened, 34, "where it fires in this picture is not known", picture=5)  # it has no page, and 5 no lists
    assert "data/pictures/00000005.js is missing" in opened.locator("#picture .fires .empty").inner_text()
    assert any("00000005.js" in text for text in complaints)
    opened.evaluate("() => { location.hash = '#picture=5&latent=17'; }")  # a latent's own heatmap is shown
    opened.wait_for_selector(".chosen a[href='#latent=17']")
    assert (shown_levels(opened) == levels(17)).all()
    complaints.clear()


def test_lists_that_were_cut_leave_open_what_they_do_not_hold(
    tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripts, "MAX_LATENTS_A_PATCH", 2)
    opened = open_page(write(tmp_path / "g"), "#picture=0")
    fires(opened)
    cut = "15 patches list their 2 strongest latents alone"
    says(opened, 34, f"not listed on any patch; {cut}")
    says(opened, 4, f"listed on 1 of 15 patches, there at most 5.00; {cut}")
    says(opened, 6, "on 2 of 15 patches, at most 7.00")  # its own page has all of it


def test_a_latent_that_hardly_fires_is_not_called_silent(
    tmp_path: Path, open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = detail_galleries.codes(range(4, N_LATENTS))
    monkeypatch.setattr(detail_galleries, "codes", lambda _: replace(made, levels=np.zeros_like(made.levels)))
    opened = open_page(write(tmp_path / "g"), "#picture=0")
    fires(opened)
    says(opened, 34, "on no patch above 0.196")
    says(opened, 2, "does not fire here")


def test_a_missing_picture_keeps_its_grid(tmp_path: Path, open_page: Open) -> None:
    gone = [replace(picture, view=None) for picture in pictures()]
    opened = open_page(write(tmp_path / "g", shown=gone), "#picture=1&latent=6")
    assert (shown_levels(opened) == levels(6)).all()
    assert opened.locator("#picture .stage .missing").inner_text() == "picture missing"
    boxes = [opened.locator(f".stage {part}").bounding_box() for part in (".missing", ".patch-grid", ".heat")]
    assert boxes[0] is not None
    assert boxes[0]["width"] / boxes[0]["height"] == pytest.approx(5 / 3, abs=0.01)
    for box in boxes[1:]:
        assert box == pytest.approx(boxes[0], abs=0.6)
    point(opened, 14)
    assert fires(opened) == expected(14)


def test_there_is_no_such_picture(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#picture=99")
    for picture in ("99", "-1", "x", "%3Cimg%20src=x%3E", ""):
        opened.evaluate("(hash) => { location.hash = hash; }", f"#picture={picture}")
        opened.wait_for_selector("#picture .empty:has-text('There is no picture')")
        opened.evaluate("() => { location.hash = '#picture=3'; }")
        assert len(fires(opened)) == 36, picture


def test_texts_of_users_stay_texts(tmp_path: Path, open_page: Open) -> None:
    names = {i: ShownName(text, 1.0) for i, text in enumerate(HOSTILE[:-1], start=4)}
    index = write(tmp_path / "g", overview(names=names), [page(6)], pictures(HOSTILE))
    opened = open_page(index, "#picture=0&latent=4")
    shown = opened.locator(".fire-name bdi")
    shown.first.wait_for()
    assert shown.evaluate_all("(all) => all.map((one) => one.textContent)") == HOSTILE[:-1]
    assert opened.locator("#picture h1").text_content() == HOSTILE[0]
    assert opened.locator("#picture .label").text_content() == HOSTILE[0]
    opened.wait_for_selector(".chosen a")
    assert opened.locator(".chosen a bdi").text_content() == HOSTILE[0]
    assert opened.locator("img:not([src^='images/'])").count() == 0


def test_pictures_are_starred_by_their_number_and_name(tmp_path: Path, open_page: Open) -> None:
    index = write(tmp_path / "g", shown=pictures(HOSTILE))
    opened, other = open_page(index, "#picture=2"), open_page(index, "#picture=2")
    star = opened.get_by_role("button", name=f"Star picture {HOSTILE[2]}", exact=True)
    star.click()
    other.wait_for_selector(".star[aria-pressed='true']")  # another tab
    opened.reload()
    opened.wait_for_selector(".star[aria-pressed='true']")
    opened.goto(index.as_uri() + "#picture=3")
    opened.wait_for_selector(".star[aria-pressed='false']")
    write(tmp_path / "g", shown=pictures())  # another picture has the number now
    other.reload()
    other.wait_for_selector(".star[aria-pressed='false']")
