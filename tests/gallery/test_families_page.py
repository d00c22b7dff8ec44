"""Families, the map and the graph of what fires together, in Chromium."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery import detail_galleries
from tests.gallery.detail_galleries import N_LATENTS, page
from tests.gallery.pages import drag, expect_count, expect_listed

from saev.gallery.families import Families

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents 4 to 7 are one family in the lower left of the map, 17, 20 and 25 another one in the upper right."""
    family = np.full(N_LATENTS, -1, dtype=np.int32)
    family[4:8], family[[17, 20, 25]] = 0, 1
    places = np.full((N_LATENTS, 2), np.nan, dtype=np.float32)
    places[4:8] = [[0.1, 0.1], [0.2, 0.1], [0.1, 0.2], [0, 0]]
    places[[17, 20, 25]] = [[0.9, 0.9], [0.8, 0.9], [1, 1]]
    families = Families(family, [HOSTILE, None], places)
    near = {6: [(17, 0.6), (25, 0.4), (30, 0.2)], 17: [(25, 0.5), (6, 0.6)], 25: [(17, 0.5)]}
    pages = [page(i, coactive=near[i]) for i in near]
    gallery = replace(detail_galleries.overview(), families=families)
    return detail_galleries.write(tmp_path_factory.mktemp("families") / "g", gallery, pages)


def test_the_map_filters_and_names_what_it_shows(index: Path, open_page: Open) -> None:
    opened = open_page(index)
    expect_listed(opened, [25, 17, 6])
    opened.locator("#plot-switch input[value=map]").check(force=True)
    assert opened.locator("#scatter").is_hidden()
    opened.wait_for_function("() => app.overview.scatter.xs !== undefined && app.overview.scatter.ground !== undefined")
    assert opened.evaluate("app.overview.scatter.plotted") == [4, 5, 6, 7, 17, 20, 25]
    width, height = opened.evaluate("[app.overview.scatter.width, app.overview.scatter.height]")
    drag(opened, "#map", (0.5 * width, 3), (width - 3, 0.5 * height))  # the upper right
    expect_listed(opened, [25, 17])
    assert opened.locator("#map .brush").is_visible()
    opened.click("#clear-ranges")
    expect_listed(opened, [25, 17, 6])
    x, y = opened.evaluate("app.overview.scatter.position(6)")
    opened.locator("#map canvas").first.hover(position={"x": x, "y": y})
    assert HOSTILE in opened.locator("#map .tooltip").inner_text()
    opened.locator("#map canvas").first.click(position={"x": x, "y": y})
    opened.wait_for_url("**#latent=6")


def test_a_family_shows_its_members_and_a_latent_its_family(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=6")
    link = opened.locator(".family-link")
    assert link.inner_text() == f"Family of 4 {HOSTILE}"
    link.locator("a").click()
    expect_count(opened, "#family li", 4)
    assert opened.locator("#family h1").inner_text() == f"Family 0: {HOSTILE}"
    assert opened.locator("#family img[src=x]").count() == 0
    expect_count(opened, "#family li:has-text('Latent 6') .heat", 3)  # thumbnails; the others have no pages
    opened.click("#family >> text=Next")
    expect_count(opened, "#family li", 3)
    opened.click("#family >> text=All families")
    expect_count(opened, "#family li", 2)
    assert opened.locator("#family li .soft").all_inner_texts() == ["4 latents", "3 latents"]
    opened.goto(index.as_uri() + "#family=7")
    opened.wait_for_selector("text=There is no family 7.")


def test_the_graph_links_neighbours_above_the_threshold(index: Path, open_page: Open) -> None:
    opened = open_page(index, "#latent=6")
    opened.locator(".cofiring").scroll_into_view_if_needed()
    expect_count(opened, ".cofiring .node", 4)
    expect_count(opened, ".cofiring .link", 4)  # three of its own, and one between 17 and 25
    least = opened.get_by_label("Least cosine of a link")
    least.fill("0.45")
    expect_count(opened, ".cofiring .link", 2)
    assert opened.locator(".cofiring .link title").all_text_contents() == [
        "6 and 17: cosine 0.60",
        "25 and 17: cosine 0.50",
    ]
    opened.get_by_label("How many neighbours").fill("1")
    expect_count(opened, ".cofiring .node", 2)
    expect_count(opened, ".cofiring .link", 1)
    opened.locator(".cofiring .node[aria-label='Latent 17']").click()
    opened.wait_for_url("**#latent=17")


def test_a_gallery_without_families_has_no_map(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index)
    assert opened.locator("#plot-switch").is_hidden()
    opened.goto(latents_index.as_uri() + "#family=1")
    opened.wait_for_selector("text=made without families")
