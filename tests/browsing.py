"""The browser that opens pages: one a process, whose tabs tests use one after the other.

A new tab costs as much as what most tests do in it, so a tab is kept, and given empty to the next test.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, final

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

Open = Callable[..., "Page"]
"""What the fixture `open_page` gives."""


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


def stopped(request: "Request") -> bool:
    """Whether reloading or closing the page ended the request; it did not fail."""
    return request.failure == "net::ERR_ABORTED"


FILES = ("file:", "blob:")


@final
class Tabs:
    """Tabs that share what the browser keeps for them.

    Args:
        context: Where they are opened.
        resting: A file that says nothing: tabs show it between tests, and storage of files is emptied there.

    Attributes:
        complaints: What pages complain of, for now.
        allowed: How addresses begin that pages may ask for.
    """

    def __init__(self, context: "BrowserContext", resting: Path) -> None:
        self.context, self.resting = context, resting
        self.complaints: list[str] = []
        self.allowed = FILES
        self._free: list[Page] = []
        self._used: list[Page] = []
        self._scripted: list[Page] = []

    def take(self, script: str | None = None) -> "Page":
        """A tab that looks new, in front; `script` runs before those of the page, and nobody else gets such a tab."""
        if script is not None:
            self._scripted.append(self._new())
            self._scripted[-1].add_init_script(script)
            return self._scripted[-1]
        self._used.append(self._free.pop() if self._free else self._new())
        self._used[-1].bring_to_front()  # a tab behind others draws one frame a second
        return self._used[-1]

    def empty(self) -> None:
        """Make those that were taken look new."""
        while self._scripted:
            self._scripted.pop().close()
        if not self._used:
            self.take()
        for page in self._used:
            page.goto(self.resting.as_uri())
        for page in self._used:  # none of them writes any more
            page.evaluate("localStorage.clear(); sessionStorage.clear();")
            page.emulate_media(color_scheme="null")
            page.set_viewport_size({"width": 1280, "height": 720})  # as new ones have
            page.mouse.move(0, 0)
        self._free += self._used[::-1]
        self._used = []

    def _new(self) -> "Page":
        page = self.context.new_page()
        complain = lambda text: self.complaints.append(text)  # noqa: E731 - the list is another one for each test
        page.on("console", lambda message: complain(message.text))
        page.on("pageerror", lambda error: complain(str(error)))
        page.on("requestfailed", lambda request: None if stopped(request) else complain(f"failed {request.url}"))
        page.on("dialog", lambda dialog: complain(f"dialog {dialog.message}"))
        page.on("request", lambda r: None if r.url.startswith(self.allowed) else complain(r.url))
        page.goto(self.resting.as_uri())
        return page


@pytest.fixture(scope="session")
def tabs(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tabs]:
    resting = tmp_path_factory.mktemp("resting") / "index.html"
    resting.write_text("<!doctype html><title>Nothing</title>", encoding="utf-8")
    context = browser.new_context()
    yield Tabs(context, resting)
    context.close()


@pytest.fixture
def complaints() -> list[str]:
    """What pages opened by `open_page` complained of; a test that provokes a complaint takes it out."""
    return []


@pytest.fixture
def open_page(tabs: Tabs, complaints: list[str]) -> Iterator[Open]:
    """Opens a page that must neither complain, nor ask the network, nor show a dialog.

    Pages of one test share what the browser keeps for them, as tabs do; those of another test see none of it.
    """
    tabs.complaints = complaints

    def opener(index: Path, fragment: str = "", width: int = 1200, script: str | None = None) -> "Page":
        page = tabs.take(script)
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(index.as_uri() + fragment)
        page.wait_for_selector("main:not([hidden]), #loading:has-text('cannot be shown')")
        return page

    yield opener
    tabs.empty()
    assert complaints == []
