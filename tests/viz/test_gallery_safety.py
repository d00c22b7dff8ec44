"""Names and labels from users stay text, and the page's policy keeps foreign code out."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from saev.viz.gallery import Gallery, Picture, write_gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Make = Callable[[Sequence[int]], Gallery]
Open = Callable[..., "Page"]
pytestmark = pytest.mark.browser

HOSTILE = [
    '"><img src=x onerror=alert(1)>.png',
    "</script><script>alert(1)</script>",
    "emoji 🦜/日本.png",
    "two\nlines\u2028three.png",
    "&lt;b&gt; ${1} \\u003c",
    "broken \udcff name",
]


def test_user_text_is_shown_and_never_run(
    tmp_path: Path, make_gallery: Make, pictures: list[Picture], open_page: Open
) -> None:
    named = [replace(picture, name=text, label=text) for picture, text in zip(pictures, HOSTILE, strict=True)]
    gallery = replace(make_gallery([6]), title=HOSTILE[1], facts={HOSTILE[0]: HOSTILE[1]})
    page = open_page(write_gallery(tmp_path / "g", gallery, named))
    assert page.locator("#title").text_content() == HOSTILE[1]
    assert page.locator("#facts dt").text_content() == HOSTILE[0]
    page.click("a.card")
    page.locator("#latent figure").nth(5).wait_for()
    texts = page.evaluate("[...document.querySelectorAll('#latent .name')].map((name) => name.textContent)")
    assert [text.encode("utf-8", "replace") for text in texts[:5]] == [text.encode() for text in HOSTILE[:5]]
    assert page.evaluate("document.querySelectorAll('#latent .label')[5].textContent === 'broken \\udcff name'")
    assert page.locator("#latent .name").nth(0).inner_text() == HOSTILE[0]
    assert page.locator("script:not([src])").count() == 0
    assert page.locator("img:not([src^='images/'])").count() == 0


def test_content_security_policy_holds_on_the_file_system(index: Path, browser: "Browser") -> None:
    page = browser.new_page()
    page.goto(index.as_uri())
    blocked = page.evaluate("""() => new Promise((resolve) => {
        const seen = [];
        addEventListener("securitypolicyviolation", (event) => {
          seen.push(event.effectiveDirective);
          if (seen.length === 3) resolve(seen.sort());
        });
        const script = (attributes) => document.head.append(
          Object.assign(document.createElement("script"), attributes));
        script({ textContent: "self.ran = true" });
        script({ src: "https://example.org/x.js" });
        document.body.append(Object.assign(new Image(), { src: "https://example.org/x.png" }));
    })""")
    assert blocked == ["img-src", "script-src-elem", "script-src-elem"]
    assert page.evaluate("self.ran") is None
    page.close()
