"""What tests read from a latent's page."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def values(opened: "Page", within: str = ".examples") -> list[float]:
    opened.locator(f"#latent {within} figure").first.wait_for()
    return [float(text) for text in opened.locator(f"#latent {within} .value strong").all_inner_texts()]


def panel(opened: "Page", title: str) -> str:
    """The selector of a box by its heading."""
    selector = f"#latent .panel:has(h2:text-is('{title}'))"
    opened.locator(selector).wait_for()
    return selector
