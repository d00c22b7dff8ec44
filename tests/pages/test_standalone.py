"""Pages of one file, in a browser."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.gallery.galleries import HOSTILE
from tests.gallery.pages import expect_text

from saev.pages.embedding import ascii_json, data_uri, jpeg, user_text
from saev.pages.standalone import standalone_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

Open = Callable[..., "Page"]
SHOWN = [name.replace("\udcff", "\ufffd") for name in HOSTILE]
"""The texts as a page shows them: half a letter is none."""
SAY = 'document.getElementById("said").textContent = JSON.parse(document.getElementById("data").textContent).join("|");'


def write_page(path: Path, body: str, **options: object) -> Path:
    path.write_bytes(standalone_page(HOSTILE[1], body, **options))  # type: ignore[arg-type]
    return path


@pytest.mark.browser
def test_texts_of_users_stay_texts(tmp_path: Path, open_page: Open) -> None:
    items = "".join(f"<li>{user_text(name)}</li>" for name in HOSTILE)
    body = f'<main><ul>{items}</ul><p id="said"></p></main>'
    page = open_page(write_page(tmp_path / "page.html", body, scripts=[SAY], data=HOSTILE))
    assert page.title() == HOSTILE[1]
    assert [item.text_content() for item in page.locator("li").all()] == SHOWN
    assert page.locator("#said").text_content() == "|".join(HOSTILE)


@pytest.mark.browser
def test_scripts_and_styles_that_are_not_its_own_do_nothing(
    tmp_path: Path, open_page: Open, complaints: list[str]
) -> None:
    body = '<main><script>document.title = "taken"</script><p style="color: red">text</p></main>'
    page = open_page(write_page(tmp_path / "page.html", body, styles=["p { color: rgb(1, 2, 3) }"]))
    assert page.title() == HOSTILE[1]
    assert page.evaluate("getComputedStyle(document.querySelector('p')).color") == "rgb(1, 2, 3)"
    assert len(complaints) == 2
    assert all("Content Security Policy" in text for text in complaints)
    complaints.clear()


GROUND = "getComputedStyle(document.body).backgroundColor"
LIGHT, DARK = "rgb(247, 247, 244)", "rgb(20, 22, 26)"


@pytest.mark.browser
def test_theme_follows_system_user_and_paper(tmp_path: Path, open_page: Open) -> None:
    page = open_page(write_page(tmp_path / "page.html", "<main>text</main>"))
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("html[data-theme='dark']")
    assert page.evaluate(GROUND) == DARK
    expect_text(page, "#theme", "Theme: system")
    page.click("#theme")
    assert page.evaluate(GROUND) == LIGHT
    page.click("#theme")
    assert page.evaluate(GROUND) == DARK
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(GROUND) == LIGHT
    page.emulate_media(media="screen")


@pytest.mark.browser
def test_without_scripts_the_theme_is_the_systems(tmp_path: Path, browser: "object") -> None:
    index = write_page(tmp_path / "page.html", "<main>text</main>")
    with browser.new_context(java_script_enabled=False, color_scheme="dark") as context:  # type: ignore[attr-defined]
        page = context.new_page()
        page.goto(index.as_uri())
        assert page.locator("#theme").is_hidden()
        assert page.evaluate(GROUND) == DARK


def test_the_file_is_ascii_and_asks_for_nothing() -> None:
    page = standalone_page("日本 \udcff", "<main>日本</main>", data=HOSTILE[2:]).decode("ascii")
    assert "http-equiv" in page
    assert "url(" not in page
    assert page.count("href=") == 2  # the top of the page, and the icon
    assert 'rel="icon" href="data:' in page


def test_json_comes_back() -> None:
    assert json.loads(ascii_json(HOSTILE)) == HOSTILE
    assert "<" not in ascii_json(HOSTILE)
    with pytest.raises(ValueError, match="not JSON compliant"):
        ascii_json(float("nan"))


def test_pictures_are_small_and_keep_their_shape() -> None:
    content, size = jpeg(Image.new("RGBA", (900, 300)), 288)
    assert size == (288, 96)
    assert data_uri(content, "image/jpeg").startswith("data:image/jpeg;base64,/9j/")
