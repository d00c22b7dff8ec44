"""Names and labels from users stay text, and the page's policy keeps foreign code out."""

from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.galleries import HOSTILE, N_LATENTS, best, make_gallery, make_pictures, write
from tests.gallery.pages import expect_count, positions

from saev.gallery.data import OtherSae, ShownName

pytestmark = pytest.mark.browser


def test_user_text_is_shown_and_never_run(tmp_path: Path, open_page: Open) -> None:
    pages = range(6, 6 + len(HOSTILE))
    gallery = make_gallery(
        title=HOSTILE[1],
        sae_id=HOSTILE[0],
        facts={HOSTILE[0]: HOSTILE[1]},
        names={i: ShownName(text, 0.5) for i, text in zip(pages, HOSTILE, strict=True)},
        labels=[best(text, {i: (text, 0.5) for i, text in zip(pages, HOSTILE, strict=True)}) for text in HOSTILE],
        others=[OtherSae(text, text, np.full(N_LATENTS, -1), np.zeros(N_LATENTS)) for text in HOSTILE],
    )
    page = open_page(write(tmp_path / "g", gallery, pages, make_pictures(HOSTILE)))
    assert page.locator("#title").text_content() == HOSTILE[1]
    assert page.locator("#facts dt").text_content() == HOSTILE[0]
    expect_count(page, ".card img", 4 * len(HOSTILE))
    for i, text in zip(pages, HOSTILE, strict=True):
        shown = page.evaluate(
            f"[...document.querySelectorAll('li[data-latent=\"{i}\"] bdi')].map((text) => text.textContent)"
        )
        assert [one.encode("utf-8", "replace") for one in shown] == [text.encode("utf-8", "replace")] * 2
    expect_count(page, "#comparisons a[href^='#compare=']", len(HOSTILE))
    ((x, y),) = positions(page, [6])
    page.hover("#scatter", position={"x": x, "y": y})
    assert page.locator(".tooltip bdi").first.text_content() == HOSTILE[0]
    page.fill("#filter-search", "onerror=alert(1)>")
    expect_count(page, "#cards li", len(HOSTILE))  # one has that name, and all show a picture of that name
    page.reload()
    page.wait_for_selector("li[data-latent='6']")
    assert page.locator("script:not([src])").count() == 0
    assert page.locator("img:not([src^='images/'])").count() == 0


def test_hostile_links_do_nothing(index: Path, open_page: Open) -> None:
    page = open_page(index, "#latent=%3Cimg%20src%3Dx%3E")
    for fragment in ("#latent=%3Cimg%20src%3Dx%3E", "#latent=../x", "#picture=%22%3E", "#compare=../../x"):
        page.evaluate("(hash) => { location.hash = hash; }", fragment)
        page.wait_for_selector(f"#{fragment[1:].split('=')[0]}:not([hidden]) h1")
        assert page.locator("main:not([hidden]) img").count() == 0
        page.keyboard.press("s")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("app.notes.list") == []


def test_content_security_policy_holds_on_the_file_system(index: Path, open_page: Open, complaints: list[str]) -> None:
    page = open_page(index)
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
    complaints.clear()
