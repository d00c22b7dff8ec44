"""Latents by a text, in a real browser, with a tiny CLIP as namer."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from tests.browsing import FILES, Tabs
from tests.gallery.galleries import PAGES, write
from tests.gallery.pages import expect_count
from tests.serving.conftest import serve
from tests.tiny_models import tiny_open_clip  # noqa: F401 - open_clip knows the tiny CLIP

from saev.cli.main import main
from saev.errors import InputError
from saev.latents.naming.crop_means import CROPS_FILE, CropMeans
from saev.latents.naming.names_file import ClipId
from saev.latents.naming.words import embed_phrases
from saev.serving.text_search import TextSearch
from saev.vit.text import load_clip

if TYPE_CHECKING:
    from playwright.sync_api import Page

CKPT = "tiny-CLIP/openai"
TEXT = '"><img src=x onerror=alert(1)> stripes'


@pytest.fixture(scope="module")
def crops() -> CropMeans:
    """Latent 25 looks at what the text says, the others anywhere."""
    clip = load_clip(CKPT, "random")
    text_e = embed_phrases(clip, [TEXT])[0]
    given = torch.randn(4, 16, len(text_e), generator=torch.Generator().manual_seed(0))
    given[PAGES.index(25)] += 0.8 * len(text_e) ** 0.5 * text_e
    kept = zip(PAGES, torch.nn.functional.normalize(given, dim=-1), strict=True)
    found = CropMeans.of(ClipId(CKPT, clip.digest), [(latent, one, torch.ones(16).numpy()) for latent, one in kept])
    assert found is not None
    return found


@pytest.fixture(scope="module")
def features(crops: CropMeans, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery that was made with a namer, and one without."""
    features = tmp_path_factory.mktemp("searched") / "features"
    for name in ("named", "bare"):
        write(features / name)
    (features / "named" / CROPS_FILE).write_bytes(crops.to_bytes())
    return features


@pytest.fixture
def page(tabs: Tabs, features: Path, request: pytest.FixtureRequest) -> Iterator["Page"]:
    """A tab with one of the galleries, served without any SAE."""
    complaints: list[str] = []
    served = serve(features, {})
    server = next(served)
    opened = tabs.take()
    tabs.complaints, tabs.allowed = complaints, (server.url, "blob:")
    opened.goto(f"{server.url}{request.param}/")
    opened.wait_for_selector("#cards li")
    yield opened
    tabs.allowed = (server.url, *FILES)
    tabs.empty()
    tabs.allowed = FILES
    next(served, None)
    assert complaints == []


@pytest.mark.browser
@pytest.mark.parametrize("page", ["named"], indirect=True)
def test_latents_are_sorted_by_a_text(page: "Page", crops: CropMeans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.serving.text_search.load_clip", lambda ckpt, *_: load_clip(ckpt, "random"))
    expected = crops.scores(embed_phrases(load_clip(CKPT, "random"), [TEXT])[0]).tolist()
    page.fill("#text-search", TEXT)
    page.keyboard.press("Enter")
    page.wait_for_selector("#text-message q")
    assert page.locator("#text-message q").inner_text() == TEXT
    order = [PAGES[i] for i in sorted(range(4), key=lambda i: -expected[i])]
    assert order[0] == 25
    assert page.evaluate("app.overview.list") == order
    assert page.locator("#cards li[data-latent='25'] .seeds").inner_text() == f"text {expected[2]:.1f}"
    page.reload()  # what was found is gone, and the order with it
    page.wait_for_selector("#cards li")
    assert page.input_value("#sort-key") == "precision"


@pytest.mark.browser
@pytest.mark.parametrize("page", ["bare"], indirect=True)
def test_without_a_namer_the_page_says_why(page: "Page") -> None:
    expect_count(page, ".text-search details", 1)
    expect_count(page, "#text-search", 0)
    page.click(".text-search summary")
    assert "--visualizer.namer ViT-B-32/openai` makes it" in page.locator(".text-search .note").inner_text()


def test_what_cannot_be_searched_is_refused(
    features: Path, crops: CropMeans, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search = TextSearch(features, "random")
    search.check()
    for body in (b"", b"[]", b'{"text": 3}', b'{"text": " "}', json.dumps({"text": "x" * 201}).encode()):
        with pytest.raises(ValueError, match=r"a search is|1 to 200 characters"):
            search.search("named", body)
    with pytest.raises(InputError, match="nothing was kept of what a namer saw"):
        search.search("bare", b'{"text": "x"}')
    other = write(tmp_path / "features" / "g").parent / CROPS_FILE
    assert main(["view", f"--run_dir={tmp_path}", "--port=0", "--namer_weights=random"]) == 1
    assert "--namer_weights: nothing was kept" in capsys.readouterr().err
    other.write_bytes(replace(crops, clip=ClipId(CKPT, "0" * 64)).to_bytes())
    assert main(["view", f"--run_dir={tmp_path}", "--port=0", "--namer_weights=random"]) == 1
    assert "the weights of tiny-CLIP/openai are others than those that looked" in capsys.readouterr().err
