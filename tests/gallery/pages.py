"""What tests ask of the overview in the browser; waits without eval, which the page's policy forbids."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


NOTES = "app.notes.list"


def note(latent: int, star: bool, text: str, **more: object) -> dict[str, object]:
    """As the page lists and exports it."""
    return {"latent": latent, "star": star, "text": text, **more}


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


def after_each(page: "Page", steps: Sequence[tuple[str, str | None]]) -> list[list[int]]:
    """The cards after each of some steps: a control and what is chosen or written there, or None for a click.

    They are one call, because each call of its own costs a tenth of a second; the list says how many it has each time.
    """
    found = page.evaluate(
        """(steps) => steps.map(([selector, value]) => {
          const control = document.querySelector(selector);
          if (value === null) control.click();
          else {
            control.value = value;
            control.dispatchEvent(new Event("input", { bubbles: true }));
          }
          const cards = [...document.querySelectorAll("#cards li")].map((card) => Number(card.dataset.latent));
          return [cards, document.getElementById("list-count").textContent];
        })""",
        steps,
    )
    assert [count for _, count in found] == [f"{len(cards)} of 40 latents" for cards, _ in found]
    return [cards for cards, _ in found]


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


def positions(page: "Page", latents: Iterable[int]) -> list[tuple[float, float]]:
    """Where the scatter plot shows latents, in pixels of the plot."""
    wait_until_drawn(page)
    found = page.evaluate("(latents) => latents.map((latent) => app.overview.scatter.position(latent))", list(latents))
    return [(x, y) for x, y in found]
