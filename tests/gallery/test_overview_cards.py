"""The list of latents: only what is near is in the document, however many there are."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.galleries import best, write
from tests.gallery.pages import drag, expect_count, expect_text

from saev.gallery.data import Gallery, ShownName

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

# How many cards there are, and whether each column is covered by cards and the gaps between them, two frames after
# scrolling; gaps are 14 pixels.
COVERED = """async (places) => {
  const covered = async (place) => {
    scrollTo(0, place);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const list = document.getElementById("cards").getBoundingClientRect();
    const top = Math.max(document.getElementById("list-head").getBoundingClientRect().bottom, list.top);
    const bottom = Math.min(innerHeight, list.bottom);
    const boxes = [...document.querySelectorAll("#cards li")].map((card) => card.getBoundingClientRect());
    const columns = [...new Set(boxes.map((box) => box.left))];
    return [boxes.length, columns.length > 0 && columns.every((left) => {
      const column = boxes.filter((box) => box.left === left).sort((a, b) => a.top - b.top);
      let reached = top;
      for (const box of column) if (box.top <= reached + 15 && box.bottom > reached) reached = box.bottom;
      return reached >= bottom - 15;
    })];
  };
  const found = [];
  for (const place of places) found.push([place, ...await covered(place)]);
  return found;
}"""


def expect_covered(page: "Page", *places: int) -> None:
    """Wherever the page is scrolled to, few cards are in the document and no column has a gap."""
    for place, n, is_covered in page.evaluate(COVERED, list(places)):
        assert n < 100, place
        assert is_covered, place


@pytest.fixture(scope="module")
def large_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of 32,768 latents, of which 100 have pictures."""
    rng = np.random.default_rng(0)
    n = 32_768
    frequency = 10 ** rng.normal(-2.6, 0.5, n)
    frequency[: n // 16] = 0
    alive = frequency > 0
    mean = np.exp(rng.normal(1, 0.5, n))
    gallery = Gallery(
        title="Many latents",
        sae_id="many",
        facts={},
        frequency=frequency,
        image_frequency=np.minimum(1, 20 * frequency),
        mean_value=mean * alive,
        max_value=3 * mean * alive,
        grid=(3, 5),
        labels=[best("patches", {int(i): (f"label {i % 50}", 0.5) for i in np.flatnonzero(alive)})],
        names={int(i): ShownName(f"name {i % 700}", 0.5) for i in np.flatnonzero(alive)[::2]},
    )
    pages = np.flatnonzero(alive)[::300][:100].tolist()
    return write(tmp_path_factory.mktemp("large") / "g", gallery, pages)


def test_many_latents_are_there_at_once_and_scroll_without_blank_frames(large_index: Path, open_page: Open) -> None:
    page = open_page(large_index)
    page.wait_for_selector(".card .picture img")
    page.select_option("#filter-kind", "all")
    expect_text(page, "#list-count", "32,768 of 32,768 latents")
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height > 32_768 / 2 * 80
    expect_covered(page, *np.random.default_rng(1).integers(0, height, 6).tolist(), height, 0)
    drag(page, "#scatter canvas >> nth=0", (150, 60), (300, 200))
    n = page.evaluate("app.overview.list.length")
    assert 0 < n < 32_768
    expect_text(page, "#list-count", f"{n:,} of 32,768 latents")
    expect_covered(page, 0)


def test_cards_stand_in_order_and_each_fills_its_place(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index)
    page.select_option("#filter-kind", "all")  # the dead ones have lower cards and come last
    page.select_option("#sort-key", "meanValue")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect_count(page, "#cards li[data-latent='3']", 1)
    boxes = page.evaluate("""[...document.querySelectorAll("#cards li")].map((card) => {
      const { left, top, width, height } = card.getBoundingClientRect();
      return [left, top, width, height, Number(card.ariaPosInSet)];
    })""")
    places = [box[4] for box in boxes]
    assert places == sorted(places)
    assert boxes == sorted(boxes, key=lambda box: (box[1], box[0]))
    for box, after in zip(boxes, boxes[2:], strict=False):
        assert box[1] + box[3] < after[1] + 0.5  # none lies on the one below it
    assert boxes[-1][3] < boxes[0][3] - 50


def test_cards_load_pictures_only_when_they_are_near(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index, width=420)
    page.wait_for_selector(".card img")
    assert page.locator("#cards li").count() < 30
    assert page.evaluate("app.data.kept.size") < 30
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect_count(page, "li[data-latent='39'] .card img", 4)


def test_arrow_keys_move_among_the_cards(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index)
    focused = "Number(document.activeElement.closest('li').dataset.latent)"
    page.select_option("#sort-key", "meanValue")
    page.focus("#filter-reset")
    page.focus("li[data-latent='4'] a")
    columns = page.evaluate("app.overview.cards.columns")
    assert columns == 2
    for key, latent in (
        ("ArrowRight", 5),
        ("ArrowDown", 7),
        ("ArrowLeft", 6),
        ("ArrowUp", 4),
        ("ArrowUp", 4),
        ("End", 39),
        ("ArrowRight", 39),
        ("ArrowUp", 37),
        ("Home", 4),
    ):
        page.keyboard.press(key)
        assert page.evaluate(focused) == latent
        box = page.locator(f"li[data-latent='{latent}']").bounding_box()
        head = page.locator("#list-head").bounding_box()
        assert box is not None
        assert head is not None
        assert head["y"] + head["height"] <= box["y"] <= 800 - box["height"]
        assert page.locator("#cards a[tabindex='0']").count() == 1
    expect_covered(page, 100_000)  # a card with the focus stays in the document
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == 5


def test_cards_of_another_size_leave_the_first_one_in_sight(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index, width=1400)
    page.evaluate("scrollTo(0, 900)")
    at_top = "app.overview.cards.latents[app.overview.cards.rowAt(TOP) * app.overview.cards.columns]".replace(
        "TOP", "app.overview.cards.headroom() + 1 - document.getElementById('cards').getBoundingClientRect().top"
    )
    first = page.evaluate(at_top)
    assert first != page.evaluate("app.overview.cards.latents[0]")
    for size in ("large", "medium"):
        page.select_option("#heat-size", size)
        assert page.evaluate(at_top) == first, size


def test_memory_for_latents_is_bounded(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index)
    page.wait_for_selector(".card .picture img")
    kept = page.evaluate("""async () => {
      GalleryData.mostKept = 5;
      for (let latent = 4; latent < 40; latent += 1) await app.data.latent(latent);
      return [...app.data.kept.keys()];
    }""")
    assert kept == [f"data/latents/{i:06d}.js" for i in range(35, 40)]
