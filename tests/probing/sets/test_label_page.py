"""The page on which a set is labelled blind, in a browser."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.gallery.galleries import HOSTILE
from tests.gallery.pages import expect_text
from tests.probing.sets.small_sets import make_pictures, make_set, write_small_set

from saev.probing.sets.answers import read_answers
from saev.probing.sets.files import write_set
from saev.probing.sets.image_set import ImageSet
from saev.shards.format.examples import ExampleRecord

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
pytestmark = pytest.mark.browser
KEYS = {"y": 1, "n": 0, "u": -1}
NAMES = {"y": "yes", "n": "no", "u": "unsure"}


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ImageSet]:
    """The page of a set of sixty pictures."""
    directory, made = write_small_set(tmp_path_factory.mktemp("sets"))
    return directory / "label.html", made


def press(page: "Page", key: str) -> None:
    """Press a key when the picture is there."""
    page.wait_for_selector("#page[data-ready='true']")
    page.keyboard.press(key)


def press_all(page: "Page", keys: str) -> None:
    """Press keys one after the other, each when the picture is there: in one call, where each key would take two."""
    page.evaluate(
        """async (keys) => {
          for (const key of keys) {
            while (document.getElementById("page").dataset.ready !== "true") {
              await new Promise((done) => { setTimeout(done, 2); });
            }
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
          }
        }""",
        keys,
    )


def export(page: "Page", directory: Path) -> Path:
    with page.expect_download() as waiting:
        page.click("#export")
    assert waiting.value.suggested_filename == "answers-latent-17.csv"
    waiting.value.save_as(directory / "answers.csv")
    return directory / "answers.csv"


def test_sixty_pictures_by_key_with_a_reload_and_undo(
    sixty: tuple[Path, ImageSet], tmp_path: Path, open_page: Open
) -> None:
    index, made = sixty
    page = open_page(index)
    expect_text(page, "#count", "Picture 1 of 60, 0 answered")
    expect_text(page, "#claim", "stripes")
    keys = ["ynu"[number * number % 3] for number in range(60)]
    press_all(page, "".join(keys[:22]))
    for key in keys[22:25]:
        press(page, key)
    expect_text(page, "#count", "Picture 26 of 60, 25 answered")
    expect_text(page, "#message", f"Picture 25: {NAMES[keys[24]]}")
    page.reload()
    expect_text(page, "#count", "Picture 26 of 60, 25 answered")
    assert page.get_attribute("#picture", "src") == f"shown/{made.pictures[25].id}.png"
    for _ in range(3):
        press(page, "z")
    expect_text(page, "#count", "Picture 23 of 60, 22 answered")
    press(page, keys[22].upper())
    press_all(page, "".join(keys[23:59]).upper())
    page.wait_for_selector("#page[data-ready='true']")
    assert page.locator("#done").is_hidden()
    press(page, keys[59])
    page.wait_for_selector("#done:not([hidden])")
    expect_text(page, "#tally", f"{', '.join(f'{keys.count(key)} {name}' for key, name in NAMES.items())}.")
    found = read_answers(export(page, tmp_path), made)
    assert found.y_k.tolist() == [KEYS[key] for key in keys]
    assert found.n_unanswered == 0
    expect_text(page, "#message", "answers-latent-17.csv exported.")
    page.keyboard.press("z")
    expect_text(page, "#count", "Picture 60 of 60, 59 answered")


def test_an_answer_is_changed_by_going_back(sixty: tuple[Path, ImageSet], tmp_path: Path, open_page: Open) -> None:
    index, made = sixty
    page = open_page(index)
    for name in ("Yes", "No", "Unsure"):
        page.wait_for_selector("#page[data-ready='true']")
        page.get_by_role("button", name=name).click()
    press(page, "ArrowLeft")
    press(page, "Backspace")
    expect_text(page, "#count", "Picture 2 of 60, 3 answered")
    expect_text(page, "#answers [aria-pressed='true']", "No n")
    press(page, "ArrowRight")
    page.get_by_role("button", name="Back").click()
    press(page, "y")
    expect_text(page, "#count", "Picture 4 of 60, 3 answered")
    assert page.locator("#forward").is_disabled()
    press(page, "ArrowRight")
    expect_text(page, "#count", "Picture 4 of 60, 3 answered")
    found = read_answers(export(page, tmp_path), made)
    assert found.y_k[:4].tolist() == [1, 1, -1, -1]
    expect_text(page, "#message", "answers-latent-17.csv exported; 57 without an answer.")
    press(page, "z")  # the last answer is the one that was changed last
    expect_text(page, "#count", "Picture 2 of 60, 2 answered")


def test_a_key_that_is_held_down_or_means_something_else_answers_nothing(
    sixty: tuple[Path, ImageSet], open_page: Open
) -> None:
    page = open_page(sixty[0])
    page.wait_for_selector("#page[data-ready='true']")
    page.keyboard.down("y")
    for _ in range(5):
        page.keyboard.down("y")
        page.wait_for_timeout(20)
    page.keyboard.up("y")
    for key in ("Control+n", "Alt+y", "q", "Enter", "z", "z"):
        press(page, key)
    expect_text(page, "#count", "Picture 1 of 60, 0 answered")
    for button in ("undo", "export", "restart", "back", "forward"):
        assert page.locator(f"#{button}").is_disabled()
    page.evaluate("page.show(0); page.answer('yes')")  # before the picture is there
    page.wait_for_selector("#page[data-ready='true']")
    assert page.evaluate("page.answers.given.size") == 0


def test_starting_over_asks_first(sixty: tuple[Path, ImageSet], open_page: Open) -> None:
    page = open_page(sixty[0])
    press(page, "y")
    page.click("#restart")
    page.keyboard.press("n")  # the question is open
    page.click("#cancel")
    expect_text(page, "#count", "Picture 2 of 60, 1 answered")
    page.click("#restart")
    page.click("#forget")
    expect_text(page, "#count", "Picture 1 of 60, 0 answered")
    page.reload()
    expect_text(page, "#count", "Picture 1 of 60, 0 answered")


def test_answers_belong_to_their_set_and_another_tab_follows(
    sixty: tuple[Path, ImageSet], tmp_path: Path, open_page: Open
) -> None:
    first, second = open_page(sixty[0]), open_page(sixty[0])
    press(first, "y")
    expect_text(second, "#count", "Picture 2 of 60, 1 answered")
    other, _ = write_small_set(tmp_path, text="spots")
    expect_text(open_page(other / "label.html"), "#count", "Picture 1 of 60, 0 answered")


@pytest.mark.parametrize(
    "number", [1, 5, *(pytest.param(i, marks=pytest.mark.daily) for i in range(len(HOSTILE)) if i not in (1, 5))]
)
def test_hostile_claims_and_names_stay_text(tmp_path: Path, open_page: Open, number: int) -> None:
    names = [f"{'x' * place}.png" for place in range(1, 7)]
    records = make_pictures(tmp_path, names)
    named = [type(one)(**{**vars(one), "path": HOSTILE[place]}) for place, one in enumerate(records)]
    files = {HOSTILE[place]: tmp_path / name for place, name in enumerate(names)}
    made = make_set(named, 6, text=HOSTILE[number])
    write_set(tmp_path / "set", made, lambda one: files[one.path])
    page = open_page(tmp_path / "set" / "label.html")
    shown = page.locator("#claim").text_content()
    assert shown is not None
    assert shown.encode("utf-8", "replace") == HOSTILE[number].encode("utf-8", "replace")
    press_all(page, 6 * "y")
    page.wait_for_selector("#done:not([hidden])")
    assert page.locator("script:not([src])").count() == 0
    found = read_answers(export(page, tmp_path), made)
    assert found.y_k.tolist() == [1] * 6


def test_a_picture_that_cannot_be_shown_is_only_unsure(tmp_path: Path, open_page: Open, complaints: list[str]) -> None:
    directory, made = write_small_set(tmp_path, n=6)
    (directory / "shown" / made.pictures[0].file).unlink()
    page = open_page(directory / "label.html")
    page.wait_for_selector("#missing:not([hidden])")
    assert page.get_by_role("button", name="Yes").is_disabled()
    press(page, "y")
    press(page, "u")
    expect_text(page, "#count", "Picture 2 of 6, 1 answered")
    assert page.locator("#missing").is_hidden()
    assert complaints
    assert all("p001" in one or "ERR_FILE_NOT_FOUND" in one for one in complaints)
    complaints.clear()


@pytest.mark.parametrize(
    "broken",
    [
        "Storage.prototype.setItem = () => { throw new Error('the quota has been exceeded'); }",
        "Object.defineProperty(self, 'localStorage', { get() { throw new Error('access is denied'); } })",
    ],
)
def test_a_browser_that_keeps_nothing_is_no_hindrance(
    sixty: tuple[Path, ImageSet], tmp_path: Path, open_page: Open, broken: str
) -> None:
    page = open_page(sixty[0], script=broken)
    press(page, "n")
    press(page, "y")
    assert re.search("cannot be kept in this browser .*Export them", page.locator("#trouble").text_content() or "")
    assert read_answers(export(page, tmp_path), sixty[1]).y_k[:2].tolist() == [0, 1]


def test_what_others_keep_under_its_name_is_passed_over(sixty: tuple[Path, ImageSet], open_page: Open) -> None:
    index, made = sixty
    page = open_page(index)
    for kept in ("{", "3", '[["p999", "yes", 1], ["p001", "maybe", 1], ["p002", "yes", -1], [], "x"]'):
        page.evaluate("([key, kept]) => localStorage.setItem(key, kept)", [f"saev-label:{made.digest}", kept])
        page.reload()
        expect_text(page, "#count", "Picture 1 of 60, 0 answered")
        press(page, "y")
        expect_text(page, "#count", "Picture 2 of 60, 1 answered")


def test_everything_fits_the_window_in_every_theme(sixty: tuple[Path, ImageSet], open_page: Open) -> None:
    page = open_page(sixty[0], width=360)
    for width in (360, 1200):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_selector("#page[data-ready='true']")
        assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
            width,
            800,
        ]
        box = page.locator("#picture").bounding_box()
        assert box is not None
        assert box["height"] > 250
    for choice in ("system", "light", "dark"):
        expect_text(page, "#theme", f"Theme: {choice}")
        assert choice == "system" or page.locator(f"html[data-theme='{choice}']").count() == 1
        page.click("#theme")


def test_pictures_are_enlarged_to_all_their_pixels(tmp_path: Path, open_page: Open) -> None:
    records = make_pictures(tmp_path, ["small.png"])
    large = tmp_path / "large.png"
    Image.new("RGB", (2000, 1500), "teal").save(large)
    records.append(ExampleRecord("large.png", None, 2000, 1500, 1, hashlib.sha256(large.read_bytes()).hexdigest()))
    write_set(tmp_path / "set", make_set(records, 2), lambda one: tmp_path / one.path)
    page = open_page(tmp_path / "set" / "label.html")
    widths = {}
    for _ in range(2):
        page.wait_for_selector("#page[data-ready='true']")
        natural = page.evaluate("document.getElementById('picture').naturalWidth")
        before = page.locator("#picture").bounding_box()
        page.keyboard.press("e")
        widths[natural] = (page.locator("#picture").bounding_box() or {})["width"]
        page.locator("#picture").click()
        assert page.locator("#picture").bounding_box() == before
        page.keyboard.press("u")
    assert widths[2000] == 2000
    assert 1000 < widths[48] < 1200
