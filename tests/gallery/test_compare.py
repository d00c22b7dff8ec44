"""Two SAEs side by side; the other gallery lies in a folder beside this one."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.detail_galleries import HOSTILE, N_LATENTS, other_sae, overview, page, write

from saev.gallery.data import Gallery, OtherSae

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytestmark = pytest.mark.browser

FOLDER = "seed=1 #50% & more"
COSINE = np.linspace(-0.2, 1, N_LATENTS)
BOTH = [i for i in range(35, 3, -1) if not 30 <= i <= 34]  # with pictures on both sides, see `index`


def hash_of(folder: str, **more: object) -> str:
    return "#" + urlencode({"compare": folder, **more}, errors="replace")


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages of 4..39 here; of the other SAE all but those that match 30..34."""
    root = tmp_path_factory.mktemp("galleries")
    write(root / FOLDER, overview("Other"), [page(i) for i in range(4, N_LATENTS) if not 5 <= i <= 9])
    gallery = replace(overview(), others=[other_sae(FOLDER)])
    return write(root / "one", gallery, [page(i) for i in range(4, N_LATENTS)])


def pairs(opened: "Page") -> list[tuple[int, int]]:
    """Latents of the rows that are in the page."""
    opened.locator(".rows .pair").first.wait_for()
    heads = opened.locator(".rows .pair").evaluate_all(
        "(all) => all.map((one) => "
        "[...one.querySelectorAll('.half-head a')].map((a) => Number(a.textContent.split(' ')[1])))"
    )
    return [(left, right) for left, right in heads]


def scroll_to(opened: "Page", latent: int) -> "Locator":
    """The row of a latent in the list of pairs that both have pictures."""
    pairs(opened)
    opened.evaluate(f"scrollTo(0, {188 * BOTH.index(latent)})")
    row = opened.locator(f".pair:has(.pair-link[aria-label^='Latents {latent} '])")
    row.wait_for()
    return row


def counted(opened: "Page") -> str:
    return opened.locator("#compare [role=status]").inner_text()


def test_pairs_by_cosine_in_either_direction_and_their_filters(index: Path, open_page: Open) -> None:
    opened = open_page(index, hash_of(FOLDER))
    both = [i for i in BOTH if COSINE[i] >= 0]
    assert counted(opened) == f"{len(both)} of 36 pairs"
    assert pairs(opened)[:4] == [(i, 39 - i) for i in both[:4]]
    opened.click("#compare-direction")
    assert pairs(opened)[:4] == [(i, 39 - i) for i in both[::-1][:4]]
    first = opened.locator(".pair").first
    assert first.locator(".pair-link strong").inner_text() == f"{COSINE[both[-1]]:.2f}"
    assert opened.locator(".compare-titles bdi").all_inner_texts() == ["A gallery", "The other one"]
    opened.click("#compare-direction")
    opened.select_option("#compare-which", label="all")
    opened.fill("#compare-least", "-1")
    assert counted(opened) == "36 of 36 pairs"
    opened.fill("#compare-least", "0.5")
    kept = [i for i in range(39, 3, -1) if np.float32(COSINE[i]) >= 0.5]
    assert counted(opened) == f"{len(kept)} of 36 pairs"
    assert pairs(opened)[0] == (39, 0)
    opened.select_option("#compare-which", label="both have pictures")
    assert counted(opened) == f"{len([i for i in kept if i in BOTH])} of 36 pairs"
    opened.fill("#compare-least", "1.5")
    assert counted(opened) == "0 of 36 pairs"
    assert opened.locator(".pair").count() == 0


def test_rows_show_both_latents_and_lead_into_the_other_gallery(index: Path, open_page: Open) -> None:
    opened = open_page(index, hash_of(FOLDER))
    row = scroll_to(opened, 17)
    row.locator(".half").nth(1).locator(".heat").nth(4).wait_for()
    left, right = row.locator(".half").all()
    assert "stripes" in left.inner_text()
    assert "max 18.0" in left.inner_text()
    assert "max 23.0" in right.inner_text()
    assert left.locator("img").first.get_attribute("src") == "images/00000000.jpg"
    assert right.locator("img").first.get_attribute("src") == f"../{quote(FOLDER)}/images/00000000.jpg"
    widths = row.locator("img").evaluate_all(
        "(all) => Promise.all(all.map((one) => one.decode().then(() => one.naturalWidth)))"
    )
    assert set(widths) == {100, 90}
    opened.evaluate("scrollTo(0, 0)")
    opened.locator(".pair .half:last-child .half-head a").first.click()
    opened.wait_for_selector("#latent h1")
    latent = 39 - BOTH[0]
    assert opened.locator("#latent h1").inner_text() == f"Latent {latent}"
    assert f"/{quote(FOLDER)}/index.html#latent={latent}" in opened.url


def test_only_rows_that_are_near_are_in_the_page(tmp_path: Path, open_page: Open) -> None:
    n = 5000

    def large(title: str, others: list[OtherSae]) -> Gallery:
        numbers = np.linspace(0.1, 1, n)
        return replace(
            overview(title),
            frequency=numbers,
            image_frequency=numbers,
            mean_value=numbers,
            max_value=numbers,
            others=others,
        )

    write(tmp_path / "b", large("B", []), [page(6)])
    opened = open_page(
        write(tmp_path / "a", large("A", [OtherSae("b", "B", np.arange(n), np.linspace(1, 0, n))]), [page(6)]),
        hash_of("b"),
    )
    pairs(opened)
    opened.select_option("#compare-which", label="all")
    assert pairs(opened)[0] == (0, 0)
    assert opened.locator(".pair").count() < 15
    opened.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    opened.wait_for_selector(".pair:has-text('Latent 4999')")
    assert opened.locator(".pair").count() < 15
    listed = [left for left, _ in pairs(opened)]
    assert listed == list(range(listed[0], 5000))
    opened.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    opened.wait_for_function("() => Number(document.querySelector('.rows li').getAttribute('aria-posinset')) < 4000")
    place = opened.evaluate("scrollY")
    opened.mouse.wheel(0, -400)
    opened.wait_for_function("(place) => scrollY === place - 400", arg=place)
    opened.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    listed = [left for left, _ in pairs(opened)]
    assert listed == sorted(listed)  # in the order in which the tab key goes through them
    tops = opened.locator(".rows li").evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().top)")
    assert np.allclose(np.diff(tops), 188)
    assert min(tops) < 0 < 800 < max(tops) + 188


def test_the_tab_key_goes_through_rows(index: Path, open_page: Open) -> None:
    opened = open_page(index, hash_of(FOLDER))
    order = [left for left, _ in pairs(opened)]
    opened.locator(".pair-link").first.focus()
    for _ in range(9):  # three links a row
        opened.keyboard.press("Tab")
    label = opened.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith(f"Latents {order[3]} and {39 - order[3]} side by side, cosine {COSINE[order[3]]:.2f}")


def test_a_pair_side_by_side_and_those_that_lack_something(index: Path, open_page: Open) -> None:
    opened = open_page(index, hash_of(FOLDER))
    scroll_to(opened, 17).locator(".pair-link").click()
    opened.wait_for_selector("#compare .pair-page")
    assert opened.locator("#compare h1").inner_text() == f"Latents 17 and 22, cosine {COSINE[17]:.3f}"
    left, right = opened.locator(".pair-column").all()
    right.locator(".heat").first.wait_for()
    left.locator(".heat").first.wait_for()
    assert left.locator("h2 a").get_attribute("href") == "#latent=17"
    assert right.locator("h2 a").get_attribute("href") == f"../{quote(FOLDER)}/index.html#latent=22"
    assert left.locator(".legend-values").inner_text().split() == ["0", "9.00", "18.0"]
    assert right.locator(".legend-values").inner_text().split() == ["0", "11.5", "23.0"]
    assert left.locator(".examples figure").count() == right.locator(".examples figure").count() == 8
    assert right.locator(".histogram").count() == 1
    assert right.locator(".example").first.get_attribute("href") == f"../{quote(FOLDER)}/index.html#picture=0&latent=22"
    opened.click("text=All pairs")
    pairs(opened)
    for latent, text in (
        ("2", "has no match"),
        ("32", "No pictures of this latent"),
        ("77", "has no match"),
        ("16", "Latents 16 and 23"),
        ("x", "has no match"),
    ):
        opened.evaluate("(hash) => { location.hash = hash; }", hash_of(FOLDER, latent=latent))
        opened.wait_for_selector(f"#compare {'h1' if latent == '16' else '.empty'}:has-text('{text}')")


def test_a_gallery_that_is_not_there_is_named(tmp_path: Path, open_page: Open, complaints: list[str]) -> None:
    gallery = replace(overview(), others=[other_sae("relu <b>")])
    opened = open_page(write(tmp_path / "one", gallery), hash_of("relu <b>"))
    opened.wait_for_selector("#compare .empty:has-text('not here')")
    assert (
        'its folder "relu <b>" has to lie beside the folder of this gallery'
        in opened.locator("#compare .empty").inner_text()
    )
    assert opened.locator("#compare h1").inner_text() == "The other one"
    write(tmp_path / "relu <b>", overview("Other"))
    opened.evaluate("() => { location.hash = ''; }")
    opened.evaluate("(hash) => { location.hash = hash; }", hash_of("relu <b>"))  # it is looked for again
    pairs(opened)
    assert all("/relu%20%3Cb%3E/" in text or "ERR_FILE_NOT_FOUND" in text for text in complaints)
    complaints.clear()


def test_a_gallery_of_another_sae_is_refused(tmp_path: Path, open_page: Open) -> None:
    small = np.array([0.1, 0.2, 0.3])
    other = replace(
        overview("Other", {1: overview().names[17]}),
        frequency=small,
        image_frequency=small,
        mean_value=small,
        max_value=small,
    )
    write(tmp_path / "b", other, [page(2, neighbours=(), coactive=())])
    opened = open_page(write(tmp_path / "a", replace(overview(), others=[other_sae("b")])), hash_of("b"))
    opened.wait_for_selector(
        "#compare .empty:has-text('of another SAE than the one that was compared: it has 3 latents only')"
    )


def test_only_folders_beside_the_gallery_are_opened(tmp_path: Path, open_page: Open) -> None:
    folders = ["..", ".", "", "../x", "x/../../y", "a\\b", "/etc", "broken \udcff name"]
    gallery = replace(overview(), others=[other_sae(folder) for folder in folders])
    opened = open_page(write(tmp_path / "in" / "one", gallery))
    texts = opened.evaluate("""async () => {
      const data = await GalleryData.open();
      const place = document.getElementById("compare");
      const texts = [];
      for (const { folder } of data.others) {
        place.replaceChildren();
        await new CompareView(place, { data }).show({ compare: folder });
        texts.push(place.querySelector(".empty").textContent);
      }
      return texts;
    }""")
    assert len(texts) == len(folders)
    for folder, text in zip(folders, texts, strict=True):
        assert "is not the name of a folder beside this gallery, so it is not opened" in text, folder


def test_a_folder_that_is_not_listed_is_not_opened(tmp_path: Path, open_page: Open) -> None:
    write(tmp_path / "secret", overview("Secret"))
    opened = open_page(write(tmp_path / "one"), hash_of("secret"))
    opened.wait_for_selector("#compare .empty:has-text('knows of no other one in a folder \"secret\"')")


def test_texts_of_users_stay_texts(tmp_path: Path, open_page: Open) -> None:
    title, folder = HOSTILE[0], "&lt;b&gt; ${1} 🦜 \u2028 'x\" %2e%2e"
    write(tmp_path / folder, overview(HOSTILE[2], {22: replace(overview().names[17], name=title)}), [page(22)])
    gallery = replace(overview(HOSTILE[4]), others=[other_sae(folder, title)])
    opened = open_page(write(tmp_path / "one", gallery), hash_of(folder))
    assert pairs(opened) == [(17, 22)]
    assert opened.locator(".compare-titles bdi").all_text_contents() == [HOSTILE[4], title]
    assert opened.locator(".half-head bdi").nth(1).text_content() == title
    opened.locator(".half .heat").nth(9).wait_for()
    sources = opened.locator("#compare img").evaluate_all("(all) => all.map((one) => one.getAttribute('src'))")
    assert all(re.fullmatch(r"(\.\./[^/]+/)?images/\d{8}\.jpg", source) for source in sources)
    opened.locator(".pair-link").click()
    opened.wait_for_selector(".pair-column h2")
    assert opened.locator(".pair-column .note bdi").all_text_contents() == [HOSTILE[4], title]


def test_the_list_is_found_as_it_was_left(index: Path, open_page: Open) -> None:
    opened = open_page(index, hash_of(FOLDER))
    pairs(opened)
    opened.fill("#compare-least", "-1")
    opened.select_option("#compare-which", label="all")
    opened.click("#compare-direction")
    opened.evaluate("scrollTo(0, 2000)")
    link = opened.locator(".pair-link[aria-label^='Latents 16 ']")
    link.wait_for()
    scrolled = opened.evaluate("scrollY")
    link.evaluate("(link) => link.click()")
    opened.wait_for_selector("#compare .pair-page")
    assert opened.evaluate("scrollY") == 0
    opened.go_back()
    opened.wait_for_selector(".pair-link[aria-label^='Latents 16 ']")
    assert opened.evaluate("scrollY") == scrolled
    assert counted(opened) == "36 of 36 pairs"
