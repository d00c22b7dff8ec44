"""A region of a picture: what fires there, against the rest."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.detail_galleries import GRID, N_LATENTS, N_PATCHES, levels, overview, write
from tests.gallery.pages import drag
from tests.gallery.picture_page import fires, heading, patch_centre, point

pytestmark = pytest.mark.browser


def region_by_hand(region: list[int], shown: list[int]) -> dict[str, list[tuple[int, float]]]:
    """By order what is listed of a region: latents with what they are sorted by."""
    gallery = overview()
    at = {i: levels(i).ravel() / 255 * (i + 1) for i in range(4, N_LATENTS)}
    rest = [patch for patch in range(N_PATCHES) if patch not in region]
    norm = np.linspace(0.5, 2, N_LATENTS)
    total = sum(at[i][shown].sum() * norm[i] for i in at)
    mean = gallery.frequency * gallery.mean_value
    measures = {
        "level": {i: f[shown].max() / (i + 1) for i, f in at.items()},
        "value": {i: f[shown].max() for i, f in at.items()},
        "sum": {i: f[shown].sum() for i, f in at.items()},
        "share": {i: f[shown].sum() * norm[i] / total for i, f in at.items()},
        "specificity": {i: f[shown].mean() / mean[i] for i, f in at.items()},
        "region": {i: (f[region].mean() - f[rest].mean()) / (i + 1) for i, f in at.items()},
    }
    fires = [i for i in at if at[i][shown].any()]
    return {
        order: sorted(((i, of[i]) for i in fires), key=lambda one: (-round(one[1], 9), one[0]))
        for order, of in measures.items()
    }


def test_a_region_is_listed_against_the_rest_in_every_order(tmp_path: Path, open_page: Open) -> None:
    gallery = replace(overview(), decoder_norm=np.linspace(0.5, 2, N_LATENTS))
    index = write(tmp_path / "g", gallery)
    opened = open_page(index, "#picture=1")
    fires(opened)
    start, stop = patch_centre(opened, 1), patch_centre(opened, 8)
    drag(opened, ".patch-grid", (start["x"], start["y"]), (stop["x"], stop["y"]))
    region = [1, 2, 3, 6, 7, 8]
    assert heading(opened) == "Latents in a region of 6 patches"
    assert opened.url.endswith("#picture=1&region=1-3.6-8")
    by_hand = region_by_hand(region, region)
    opened.mouse.move(5, 5)
    for order in ("region", "level", "value", "sum", "share", "specificity"):
        opened.select_option(".fires-order select", order)
        assert [row[0] for row in fires(opened)] == [latent for latent, _ in by_hand[order]], order
        exact = opened.evaluate(
            "(order) => app.router.views.picture.all.of([1, 2, 3, 6, 7, 8])"
            ".map((fire) => [fire.latent, fireOrders[order].of(fire)])",
            order,
        )
        scale = 255 if order == "level" else 1
        assert dict(exact) == pytest.approx({i: scale * x for i, x in by_hand[order]}, rel=6e-3), order
    opened.select_option(".fires-order select", "share")
    assert opened.url.endswith("#picture=1&sort=share&region=1-3.6-8")
    shares = [float(row[1].removesuffix(" %")) for row in fires(opened)]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    opened.reload()  # the address has the region and the order
    assert [row[0] for row in fires(opened)] == [latent for latent, _ in by_hand["share"]]
    opened.focus(".patch-grid")
    opened.keyboard.press("Escape")
    assert heading(opened) == "Latents in the whole picture"
    whole = region_by_hand(region, list(range(N_PATCHES)))["share"]
    assert [row[0] for row in fires(opened)] == [latent for latent, _ in whole]
    assert opened.locator(".fires-order option[value=region]").is_disabled()
    for key in ("ArrowDown", "Shift+ArrowRight", "Shift+ArrowDown"):
        opened.keyboard.press(key)
    assert heading(opened) == "Latents in a region of 4 patches"
    assert opened.url.endswith("#picture=1&region=0-1.5-6")


def test_a_region_is_brushed_by_dragging_and_by_keys(tmp_path: Path, open_page: Open) -> None:
    opened = open_page(write(tmp_path / "g"), "#picture=3")
    opened.locator("#picture .fire").first.wait_for()
    box = opened.locator(".patch-grid").bounding_box()
    assert box is not None

    def drag(start: int, end: int) -> None:
        for patch, act in ((start, opened.mouse.down), (end, opened.mouse.up)):
            at = patch_centre(opened, patch)
            opened.mouse.move(box["x"] + at["x"], box["y"] + at["y"])
            act()

    def brushed() -> list[int]:
        path = opened.locator(".patch-region").get_attribute("d") or ""
        cells = [(int(column), int(row)) for column, row in re.findall(r"M(\d+) (\d+)h1v1h-1z", path)]
        return sorted(row * GRID[1] + column for column, row in cells)

    drag(7, 0)
    assert brushed() == [0, 1, 2, 5, 6, 7]
    opened.keyboard.down("Shift")
    drag(14, 13)
    opened.keyboard.up("Shift")
    assert brushed() == [0, 1, 2, 5, 6, 7, 13, 14]
    drag(3, 4)
    assert brushed() == [3, 4]
    point(opened, 8, click=True)
    for key in ("Shift+ArrowLeft", "Shift+ArrowDown"):
        opened.keyboard.press(key)
    assert brushed() == [7, 8, 12, 13]
    opened.keyboard.press("Escape")  # from the patch to the whole picture
    assert brushed() == [7, 8, 12, 13]
    opened.keyboard.press("Escape")
    assert brushed() == []
    assert opened.url.endswith("#picture=3")
