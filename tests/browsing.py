"""The browser that opens pages."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request


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
def complaints() -> list[str]:
    """What pages opened by `open_page` complained of; a test that provokes a complaint takes it out."""
    return []


def stopped(request: "Request") -> bool:
    """Whether reloading or closing the page ended the request; it did not fail."""
    return request.failure == "net::ERR_ABORTED"


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
        page.on("requestfailed", lambda r: None if stopped(r) else complaints.append(f"failed {r.url}"))
        page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
        page.on("request", lambda r: None if r.url.startswith(("file:", "blob:")) else complaints.append(r.url))
        page.goto(index.as_uri() + fragment)
        page.wait_for_selector("main:not([hidden]), #loading:has-text('cannot be shown')")
        return page

    yield opener
    context.close()
    assert complaints == []
