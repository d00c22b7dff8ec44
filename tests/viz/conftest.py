"""Synthetic galleries and the browser that opens them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from saev.viz.gallery import Gallery, LatentExample, LatentPage, Picture, write_gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

GRID = (3, 5)
N_LATENTS = 40


@pytest.fixture
def pictures() -> list[Picture]:
    """Six plain grey pictures of 100 x 60."""
    return [Picture(i, f"birds/{i}.png", "birds", Image.new("RGB", (100, 60), (90,) * 3)) for i in range(6)]


@pytest.fixture
def make_gallery() -> Callable[[Sequence[int]], Gallery]:
    """Builds a gallery of 40 latents, the first four dead; latent i fires on patch i % 15 of each picture."""

    def make(pages: Sequence[int]) -> Gallery:
        frequency = np.geomspace(1e-4, 0.2, N_LATENTS)
        frequency[:4] = 0
        mean = np.linspace(9, 1, N_LATENTS)  # falls where frequency rises
        return Gallery(
            title="A gallery",
            facts={"Model": "ViT-B-32/openai"},
            frequency=frequency,
            mean_value=mean,
            max_value=2 * mean,
            pages=[LatentPage(i, [_example(image, i, 2 * mean[i]) for image in range(6)]) for i in pages],
            grid=GRID,
        )

    return make


def _example(image_id: int, latent: int, top: float) -> LatentExample:
    patches = np.zeros(GRID, dtype=np.float32)
    patches.flat[latent % 15] = top
    return LatentExample(image_id, top, patches)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as runner:
        opened = runner.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Callable[..., "Page"]]:
    """Opens a page that must neither complain, nor ask the network, nor show a dialog."""
    context = browser.new_context()
    complaints: list[str] = []

    def opener(index: Path, fragment: str = "", width: int = 1200) -> "Page":
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": 800})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed {request.url}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda r: None if r.url.startswith("file://") else complaints.append(r.url))
        page.goto(index.as_uri() + fragment)
        return page

    yield opener
    context.close()
    assert complaints == []


@pytest.fixture
def index(tmp_path: Path, make_gallery: Callable[[Sequence[int]], Gallery], pictures: list[Picture]) -> Path:
    """A gallery with pictures of latents 6, 17, 25 and 33, in a folder whose name needs escaping in URLs."""
    return write_gallery(tmp_path / "a gallery #1", make_gallery([6, 17, 25, 33]), pictures)
