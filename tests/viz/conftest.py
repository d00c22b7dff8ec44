"""Galleries to read, and how the browser opens them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.viz import galleries

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def complaints() -> list[str]:
    """What pages opened by `open_page` complained of; a test that provokes a complaint takes it out."""
    return []


@pytest.fixture
def open_page(browser: "Browser", complaints: list[str]) -> Iterator[Callable[..., "Page"]]:
    """Opens a page that must neither complain, nor ask the network, nor show a dialog.

    Pages of one test share what the browser keeps for them, as tabs do.
    """
    context = browser.new_context()

    def opener(index: Path, fragment: str = "", width: int = 1200, script: str | None = None) -> "Page":
        page = context.new_page()
        if script is not None:  # runs before those of the page
            page.add_init_script(script)
        page.set_viewport_size({"width": width, "height": 800})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed {request.url}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda r: None if r.url.startswith(("file:", "blob:")) else complaints.append(r.url))
        page.goto(index.as_uri() + fragment)
        page.wait_for_selector("main:not([hidden]), #loading:has-text('cannot be shown')")
        return page

    yield opener
    context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with pictures of latents 6, 17, 25 and 33, in a folder whose name needs escaping in URLs."""
    return galleries.write(tmp_path_factory.mktemp("page") / "a gallery #1")


@pytest.fixture(scope="session")
def full_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with pictures of all 36 latents that are alive."""
    return galleries.write(tmp_path_factory.mktemp("full") / "g", pages=range(4, galleries.N_LATENTS))
