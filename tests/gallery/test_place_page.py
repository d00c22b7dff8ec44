"""Where latents fire in pictures, in Chromium: chips, filter, order, and the panel of a latent."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery import detail_galleries
from tests.gallery.pages import listed

from saev.latents.survey import FLAGS, PlaceProfile

pytestmark = pytest.mark.browser
N = detail_galleries.N_LATENTS


def profile() -> PlaceProfile:
    """Latent 6 is at the edge and at boundaries, 17 dense; the share at the border rises with the number."""
    flags = np.zeros(N, dtype=np.uint8)
    flags[6] = 1 << FLAGS.index("edge") | 1 << FLAGS.index("boundary")
    flags[17] = 1 << FLAGS.index("dense")
    rising = np.linspace(0, 1, N, dtype=np.float32)
    return PlaceProfile(flags, rising[::-1], rising, 0.8, rising, 10 * rising, rising, rising / 2)


def test_flags_filter_and_sort_and_the_panel_tells(tmp_path: Path, open_page: Open) -> None:
    mean_p = np.arange(15) * 0.1
    pages = [replace(detail_galleries.page(i), mean_p=mean_p) for i in (6, 17, 25)]
    gallery = replace(detail_galleries.overview(), places=profile())
    page = open_page(detail_galleries.write(tmp_path / "g", gallery, pages))
    chips = page.locator("[data-latent='6'] .flag")
    assert chips.all_text_contents() == ["edge", "boundary"]
    assert "3 times" in (chips.first.get_attribute("title") or "")
    assert page.locator("#filter-flag option").all_text_contents() == [
        "any place", "no flag", "edge", "dense", "boundary",
    ]  # fmt: skip
    page.select_option("#filter-flag", "none")
    assert listed(page) == [25]
    page.select_option("#filter-flag", "boundary")
    assert listed(page) == [6]
    page.reload()
    assert listed(page) == [6]  # the choice stays
    page.select_option("#filter-flag", "")
    page.select_option("#sort-key", "border")
    assert listed(page) == [25, 17, 6]
    page.select_option("#sort-key", "onePicture")
    assert listed(page) == [6, 17, 25]
    page.evaluate("location.hash = 'latent=6'")
    panel = page.locator(".panel", has_text="Where in pictures it fires")
    assert panel.locator(".where-figures").inner_text().split("\n")[:4] == [
        "Border",
        "15\u202f% grid 80\u202f%",
        "Extent",
        "15\u202f%",
    ]
    assert "brightest: 1.40" in panel.inner_text()
    shown = panel.locator("canvas").evaluate(
        "canvas => [...canvas.getContext('2d').getImageData(0, 0, 5, 3).data].filter((_, i) => i % 4 === 3)"
    )
    assert shown == sorted(shown)
    assert shown[0] == 0 < shown[1] < shown[-1]  # nothing where it never fires, the more the stronger


def test_a_gallery_without_places_says_nothing_of_them(latents_index: Path, open_page: Open) -> None:
    page = open_page(latents_index)
    assert page.locator("#filter-flag").is_hidden()
    assert page.locator("#sort-places").evaluate("group => group.hidden")
    page.evaluate("location.hash = 'latent=6'")
    page.wait_for_selector(".panel:has-text('Values')")
    assert page.locator(".where").count() == 0
