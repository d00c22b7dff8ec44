"""What tests ask of the overview in the browser; waits without eval, which the page's policy forbids."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def expect_count(page: "Page", selector: str, count: int) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_count(count)


def expect_text(page: "Page", selector: str, text: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_text(text)


def expect_listed(page: "Page", latents: Sequence[int]) -> None:
    """The cards, all of which are in the document, are those of `latents` in this order."""
    expect_text(page, "#list-count", f"{len(latents)} of 40 latents")
    assert listed(page) == list(latents)


def listed(page: "Page") -> list[int]:
    return [
        int(card) for card in page.evaluate("[...document.querySelectorAll('#cards li')].map((c) => c.dataset.latent)")
    ]


def drag(page: "Page", selector: str, start: tuple[float, float], stop: tuple[float, float]) -> None:
    """Drag the pointer between two places, in pixels of the element."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + start[0], box["y"] + start[1])
    page.mouse.down()
    page.mouse.move(box["x"] + stop[0], box["y"] + stop[1], steps=4)
    page.mouse.up()


def wait_until_drawn(page: "Page") -> None:
    """Wait for the plots: they draw a frame after the list has changed."""
    for _ in range(500):
        if page.evaluate("[app.overview.scatter, app.overview.histogram].every((plot) => plot.x && !plot.drawing)"):
            return
        page.wait_for_timeout(20)
    raise AssertionError("the plots were not drawn within 10 s")


def position(page: "Page", latent: int) -> tuple[float, float]:
    """Where the scatter plot shows a latent, in pixels of the plot."""
    wait_until_drawn(page)
    x, y = page.evaluate(f"app.overview.scatter.position({latent})")
    return x, y
