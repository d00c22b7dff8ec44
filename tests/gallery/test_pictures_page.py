"""All pictures: filtered, grouped, ticked, and two sets of them compared; against brute force."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csc_array
from tests.browsing import Open
from tests.gallery.galleries import HOSTILE, N_LATENTS, N_PICTURES, make_gallery, make_page, make_pictures
from tests.gallery.pages import expect_count
from tests.gallery.test_page_scores import lift

from saev.gallery.by_picture import Masks, PictureLevels
from saev.gallery.fitting import Pictures
from saev.gallery.write import write_gallery
from saev.latents.metadata import Column, read_metadata
from saev.latents.pictures import Picture
from saev.probing.statistics.scores import average_precision, counts
from saev.shards.format.examples import ExampleRecord

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

N = 300
UNKNOWN = range(290, 300)
LABELS = [None, "birds", "fish", HOSTILE[1]]
NAMES = [*HOSTILE, *(f"{'even' if i % 2 == 0 else 'odd'}/{i}.png" for i in range(len(HOSTILE), N))]
RNG = np.random.default_rng(3)
LABEL_I = RNG.integers(0, len(LABELS), N)
WING_I = RNG.permutation(N) / 4
SITE_I = RNG.integers(-1, 3, N)
SITES = ["north", HOSTILE[0], "south"]
VALUES = np.where(RNG.random((N, N_LATENTS)) < 0.4, RNG.integers(1, 9, (N, N_LATENTS)), 0)  # with ties
VALUES[LABEL_I == 1, 20] += 6
SCALE = np.full(N_LATENTS, 255 / 18, np.float32)
"""What level 255 stands for; as in an image set whose own largest values are others."""
MASKS = RNG.choice([0, 1, 255], (N, 15), p=[0.9, 0.03, 0.07]).astype(np.uint8)


def levels() -> PictureLevels:
    """Levels that are 18 times the values, of all pictures but the last ten."""
    order = RNG.permutation(UNKNOWN.start)
    return PictureLevels.of(order, csc_array(VALUES[order].astype(float)), SCALE)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gallery = make_gallery(
        levels=levels(),
        scale=SCALE,
        masks=Masks(["ground", "beak"], MASKS),
        metadata=[
            Column("wing", [str(x) for x in WING_I], np.arange(N)),
            Column(HOSTILE[0], SITES, SITE_I),
        ],
    )
    views = [picture.view for picture in make_pictures()]
    given = given_names(NAMES, [LABELS[number] for number in LABEL_I], views)
    return write_gallery(tmp_path_factory.mktemp("all") / "g", gallery, map(make_page, (6, 20)), given)


def given_names(names: Sequence[str], labels: Sequence[str | None], views: Sequence[Image.Image | None]) -> Pictures:
    """Pictures of which the first ones have thumbnails."""

    def get(i: int) -> Picture:
        return Picture(i, names[i], labels[i], views[i])

    def named(i: int) -> Picture:
        return Picture(i, names[i], labels[i], None, is_left_out=True)

    return Pictures(get, n_opened=len(views), others=range(len(names)), named=named)


def listed(page: "Page") -> list[int]:
    ids: list[int] = page.evaluate("app.router.views.pictures.listed.map(({ id }) => id)")
    return ids


def shows(page: "Page", n: int) -> None:
    page.wait_for_selector(f"#pictures strong:text-is('{n} of {N} pictures')")


def where(test: Any) -> list[int]:
    return np.flatnonzero(test).tolist()


def test_pictures_are_filtered_and_the_address_says_how(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.click(".tabs a:has-text('Pictures')")
    shows(page, N)
    assert page.locator(".tile .missing-text").first.inner_text() == "no thumbnail"
    page.select_option("#pictures select[aria-label='Label']", "fish")
    is_fish = LABEL_I == 2
    shows(page, is_fish.sum())
    assert listed(page) == where(is_fish)
    page.fill("#pictures input[type=search]", "EVEN .png")
    even = np.array(["even" in name and ".png" in name for name in NAMES])
    shows(page, (is_fish & even).sum())
    page.select_option("#pictures select[aria-label='Filter by a column']", "wing")
    page.fill("#pictures input[aria-label='wing from']", "10.25")
    page.fill("#pictures input[aria-label='wing to']", "60")
    chosen = is_fish & even & (WING_I >= 10.25) & (WING_I <= 60)
    shows(page, chosen.sum())
    assert listed(page) == where(chosen)
    page.reload()  # all of it stands in the address
    shows(page, chosen.sum())
    assert listed(page) == where(chosen)
    assert page.locator("#pictures input[aria-label='wing to']").input_value() == "60"
    page.click("#pictures .found button")
    page.select_option("#pictures select[aria-label='Label of patches']", "beak")
    has_beak = (MASKS == 1).any(1)
    shows(page, has_beak.sum())
    assert listed(page) == where(has_beak)
    page.click("#pictures .found button")
    page.select_option("#pictures select[aria-label='Filter by a column']", HOSTILE[0])
    page.select_option("#pictures .column-filter select >> nth=0", HOSTILE[0])
    shows(page, (SITE_I == 1).sum())
    assert listed(page) == where(SITE_I == 1)
    page.select_option("#pictures select[aria-label='Colour by']", HOSTILE[0])
    assert page.locator(".legend bdi").evaluate_all("(all) => all.map((one) => one.textContent)") == [HOSTILE[0]]
    assert page.locator("img:not([src^='images/'])").count() == 0


def test_groups_by_label_and_by_number(index: Path, open_page: Open) -> None:
    page = open_page(index, "#pictures&group=label&colour=is.wing")
    shows(page, N)
    groups = page.evaluate("app.router.views.pictures.groups().map(({ text, pictures }) => [text, pictures.length])")
    names = sorted(label for label in LABELS if label)
    expected = [[name, int((LABELS.index(name) == LABEL_I).sum())] for name in names]
    assert groups == [*expected, ["label not known", int((LABEL_I == 0).sum())]]
    page.select_option("#pictures select[aria-label='Group by']", "is.wing")
    page.wait_for_selector("#pictures h3:has-text('wing: 0 to')")
    groups = page.evaluate("app.router.views.pictures.groups().map(({ text, pictures }) => [text, pictures.length])")
    assert [n for _, n in groups] == [60] * 5
    assert [text for text, _ in groups][:2] == ["wing: 0 to 14.8", "wing: 15 to 29.8"]
    page.click(".legend button >> nth=1")  # a colour chooses its pictures
    shows(page, 60)
    assert listed(page) == where((WING_I >= 15) & (WING_I < 30))
    assert page.locator("#pictures h3").count() == 1


def by_hand(in_a: np.ndarray, in_b: np.ndarray) -> dict[int, tuple[float, float, float]]:
    """By latent AP, and lift and MCC at the threshold of the largest MCC."""
    known = np.arange(N) < UNKNOWN.start
    one = (in_a | in_b) & known
    y = in_a[one]
    found = {}
    for latent in range(N_LATENTS):
        a = VALUES[one, latent]
        if not a[y].any():
            continue
        at_each = [counts(a >= t, y) for t in np.unique(a[a > 0])[::-1]]
        best = max(at_each, key=lambda at: float(at.mcc()))
        found[latent] = average_precision(a, y), lift(best), float(best.mcc())
    return found


def contrast(page: "Page") -> dict[int, tuple[float, float, float]]:
    page.wait_for_selector(".contrast li")
    rows = page.evaluate(
        "app.router.views.pictures.sets.found.rows"
        ".map(({ latent, ap, counts }) => [latent, ap, counts.lift, counts.mcc])"
    )
    return {int(latent): tuple(scores) for latent, *scores in rows}


def test_two_sets_are_compared_as_probing_does(index: Path, open_page: Open, tmp_path: Path) -> None:
    page = open_page(index, "#pictures")
    shows(page, N)
    page.select_option("#pictures select[aria-label='Set A']", label="birds")
    expected = by_hand(LABEL_I == 1, LABEL_I != 1)
    found = contrast(page)
    assert found.keys() == expected.keys()
    for latent, scores in expected.items():
        assert found[latent] == pytest.approx(scores, abs=1e-9), latent
    order = sorted(expected, key=lambda latent: (-round(expected[latent][0], 9), latent))
    shown = page.locator(".contrast li").evaluate_all("(all) => all.map((one) => Number(one.dataset.latent))")
    assert shown == order[:30]
    assert shown[0] == 20
    in_a, values = LABEL_I[: UNKNOWN.start] == 1, VALUES[: UNKNOWN.start, 20]
    best = max(np.unique(values[values > 0])[::-1], key=lambda t: float(counts(values >= t, in_a).mcc()))
    assert f"\u2265 {best}.00:" in page.locator(".contrast-numbers").first.inner_text()
    page.select_option("#pictures select[aria-label='Sort the latents by']", "mcc")
    by_mcc = max(expected, key=lambda latent: expected[latent][2])
    assert page.locator(".contrast li").first.get_attribute("data-latent") == str(by_mcc)
    said = page.locator(".set-panel .note").inner_text()
    n_a = (LABEL_I[: UNKNOWN.start] == 1).sum()
    assert f"A has {n_a} pictures, B has {UNKNOWN.start - n_a}; of 10 more it is not kept what fires there." in said

    # Ticked pictures against those that are listed, where those in both are in A; both in the address.
    page.focus(".tile[data-picture='2'] a")
    for key in ("Space", "ArrowRight", "ArrowRight", "Shift+Space"):
        page.keyboard.press(key)
    expect_count(page, ".tile.ticked", 3)
    page.select_option("#pictures select[aria-label='Set A']", "ticked")
    page.select_option("#pictures select[aria-label='Label']", "fish")
    shows(page, (LABEL_I == 2).sum())
    page.select_option("#pictures select[aria-label='Set B']", "listed")
    page.wait_for_selector(".set-panel .note:has-text('A has 3 pictures')")
    in_a = np.isin(np.arange(N), [2, 3, 4])
    expected = by_hand(in_a, (LABEL_I == 2) & ~in_a)
    for _ in range(2):
        assert contrast(page) == {i: pytest.approx(scores, abs=1e-9) for i, scores in expected.items()}
        page.reload()
    contrast(page)
    with page.expect_download() as download:
        page.fill(".saving input", "marked")
        page.click(".saving button")
    download.value.save_as(tmp_path / "marked.csv")
    records = [ExampleRecord(name, None, 8, 8, 9, f"{i:064x}") for i, name in enumerate(NAMES)]
    (column,) = read_metadata(tmp_path / "marked.csv", records).columns
    is_text = np.array(["\udcff" not in name for name in NAMES])
    values = [column.values[number] if number >= 0 else "" for number in column.numbers_i]
    in_b = (LABEL_I == 2) & ~in_a
    assert (column.name, column.kind) == ("marked", "boolean")
    assert values == [
        "yes" if a and t else "no" if b and t else "" for a, b, t in zip(in_a, in_b, is_text, strict=True)
    ]


def test_ticks_and_stars_outlive_a_reload_and_stars_are_a_set(index: Path, open_page: Open) -> None:
    page = open_page(index, "#pictures&text=odd")
    page.wait_for_selector(".tile")
    page.click(".tick-bar button:has-text('Tick all listed')")
    page.click(".tick-bar button:has-text('Star them')")
    page.reload()
    page.wait_for_selector(".tile.ticked .star[aria-pressed='true']")
    assert "Stars are kept in this browser, ticks in this browser." in page.locator(".tick-bar").inner_text()
    page.fill("#pictures input[type=search]", "")
    shows(page, N)
    page.check("#pictures .pictures-head input[type=checkbox]")
    odd = where(["odd" in name for name in NAMES])
    shows(page, len(odd))
    assert listed(page) == odd
    page.select_option("#pictures select[aria-label='Set A']", label="the starred")
    is_odd = np.isin(np.arange(N), odd)
    assert contrast(page) == {i: pytest.approx(s, abs=1e-9) for i, s in by_hand(is_odd, ~is_odd).items()}


def test_levels_of_many_pictures_are_cut_to_the_strongest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.gallery.by_picture.MAX_PAIRS", 10 * N)
    monkeypatch.setattr("saev.gallery.by_picture.LEAST_LATENTS", 1)
    cut = levels()
    assert cut.most == 10
    for row, image in enumerate(cut.images_i.tolist()):
        own = slice(*cut.starts_i[row : row + 2])
        strongest = sorted(np.flatnonzero(VALUES[image]), key=lambda s: (-VALUES[image, s], s))[:10]
        assert cut.latents_n[own].tolist() == sorted(strongest)
        assert (cut.levels_n[own] == 18 * VALUES[image, sorted(strongest)]).all()


def test_many_pictures_take_little_of_the_page(tmp_path: Path, open_page: Open) -> None:
    n = 50_000
    few = PictureLevels(np.arange(n), np.arange(n + 1), np.arange(n) % 7, np.full(n, 9, np.uint8), 64)
    gallery = make_gallery(levels=few)
    names, labels = ([f"{what} {i % 9}/{i}.png"[:k] for i in range(n)] for what, k in (("folder", 99), ("label", 7)))
    given = given_names(names, labels, [None] * N_PICTURES)
    index = write_gallery(tmp_path / "g", gallery, [make_page(6)], given)
    page = open_page(index, "#pictures&a=of%3Alabel%3Dlabel+3")
    page.wait_for_selector("strong:text-is('50,000 of 50,000 pictures')")
    page.wait_for_selector(".contrast li")
    assert page.locator(".tile").count() < 200
    page.focus(".tile a >> nth=0")
    page.keyboard.press("End")
    page.wait_for_selector(f".tile[data-picture='{n - 1}'] a:focus")
    assert page.locator(".tile").count() < 200
    assert page.evaluate("performance.memory.usedJSHeapSize") < 200 * 2**20
