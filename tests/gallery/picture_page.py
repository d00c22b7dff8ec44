"""What tests read from a picture's page, and point at there."""

from typing import TYPE_CHECKING

import numpy as np
from tests.gallery.detail_galleries import GRID

if TYPE_CHECKING:
    from playwright.sync_api import Page


def fires(opened: "Page") -> list[tuple[int, str, str]]:
    """What is listed: latent, share, value."""
    return told(opened)[1]


def told(opened: "Page") -> tuple[str, list[tuple[int, str, str]]]:
    """The heading of the list, and what is listed once something is."""
    opened.wait_for_selector("#picture .fire")
    title, rows = opened.evaluate("""() => {
      const text = (one, part) => one.querySelector(part).innerText;
      const rows = [...document.querySelectorAll("#picture .fire")].map((one) =>
        [".fire-number", ".share", ".fire-value"].map((part) => text(one, part)));
      return [text(document, "#picture .panel h2"), rows];
    }""")
    return title, [(int(latent), share.replace("\u202f", " "), value) for latent, share, value in rows]


def patch_centre(opened: "Page", patch: int) -> dict[str, float]:
    box = opened.locator(".patch-grid").bounding_box()
    assert box is not None
    row, column = divmod(patch, GRID[1])
    return {"x": (column + 0.5) / GRID[1] * box["width"], "y": (row + 0.5) / GRID[0] * box["height"]}


def point(opened: "Page", patch: int, click: bool = False) -> None:
    grid = opened.locator(".patch-grid")
    (grid.click if click else grid.hover)(position=patch_centre(opened, patch))  # type: ignore[operator]


def heading(opened: "Page") -> str:
    return opened.locator("#picture .panel h2").inner_text()


def shown_levels(opened: "Page") -> np.ndarray:
    """Which patches the heatmap shows at all, by the opacity of its canvas: (3, 5)."""
    opened.locator("#picture .stage .heat").wait_for()
    rgba = opened.evaluate(
        "[...document.querySelector('#picture .stage .heat').getContext('2d').getImageData(0, 0, 5, 3).data]"
    )
    alpha = np.array(rgba).reshape(*GRID, 4)[..., 3]
    return np.where(alpha == 255, 255, np.where(alpha > 150, 128, 0))
