"""The boxes beside a latent's pictures: labels, neighbours, words, other SAEs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.detail_galleries import HOSTILE, levels, other_sae, overview, page, write
from tests.gallery.latent_page import panel, values

from saev.gallery.data import LatentExample
from saev.gallery.judged import Judged

pytestmark = pytest.mark.browser


def test_labels_of_the_strongest_tenth(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, "#latent=17")
    rows = opened.locator(f"{panel(opened, 'Labels of its images')} tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        ["birds", "80", "%", "31", "%", "×4", ".63", "✓", "<0.001"],
        ["fish", "20", "%", "22", "%", "×0.5", "0.9"],
    ]
    bar = opened.locator(f"{panel(opened, 'Labels of its images')} .share-bar").first
    assert bar.evaluate("(bar) => bar.style.getPropertyValue('--share')") == "0.8"
    patches = opened.locator(f"{panel(opened, 'Labels of its patches')} tbody tr").all_inner_texts()
    assert [row.split() for row in patches] == [["beak", "14", "%", "10", "%", "×13", "1.00", "✓", "0.032"]]
    said = opened.locator(f"{panel(opened, 'Labels of its images')} .note").all_inner_texts()
    assert said[0] == "Of its 8 top pictures: birds 8"
    assert said[1].startswith(
        "Of the strongest tenth of what it fires on, from 4 pictures at least. saev probe propose"
    )
    chips = opened.locator("#latent .examples .label").all_inner_texts()
    assert chips[:3] == ["beak", "birds", "\u202etxt"]  # under the strongest patch, where that has a label


def test_labels_stand_under_their_own_pictures_where_others_are_shown_too(tmp_path: Path, open_page: Open) -> None:
    hits, misses = frozenset({0, 2}), frozenset({1, 4})  # a miss has no heatmap
    judged = Judged(np.array([0, 2, 3]), np.ones(3, np.float32), 3, 8, shown=hits, near=misses)
    top = [LatentExample(image, 20 - image) for image in (7, 3, 6)]
    own = page(
        17, top={"patch": top}, samples=[], judged=judged, peaks={0: "eye", 3: "beak", 6: "leg"},
        heatmaps={image: levels(17) for image in (0, 2, 3, 6, 7)},
    )  # fmt: skip
    opened = open_page(write(tmp_path / "g", overview(), [own]), "#latent=17")
    chips = opened.locator("#latent .examples .label").all_inner_texts()
    assert chips == ["birds", "beak", "leg"]


def test_neighbours_are_links_with_previews(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, "#latent=17")
    near = opened.locator(f"{panel(opened, 'Nearest decoder directions')} li")
    assert [text.split() for text in near.all_inner_texts()] == [["Latent", "6", "0.83"], ["Latent", "20", "0.50"]]
    near.first.scroll_into_view_if_needed()
    near.first.locator(".heat").wait_for()
    assert near.nth(1).locator(".picture").count() == 0  # latent 20 has no page
    together = opened.locator(f"{panel(opened, 'Fires together with')} li")
    assert together.count() == 1
    together.first.scroll_into_view_if_needed()
    together.first.locator(".preview").click(force=True)  # the link covers the row
    opened.wait_for_selector("#latent h1:text-is('Latent 25')")


def test_other_saes(tmp_path: Path, open_page: Open) -> None:
    gallery = replace(overview(), others=[other_sae("b & c")])
    opened = open_page(write(tmp_path / "g", gallery), "#latent=17")
    link = opened.locator(f"{panel(opened, 'In other SAEs')} a")
    assert link.inner_text() == "The other one latent 22"
    assert link.get_attribute("href") == "#compare=b+%26+c&latent=17"


def test_what_is_not_known_gets_no_box(tmp_path: Path, open_page: Open) -> None:
    bare = page(
        6,
        top={"patch": [LatentExample(0, 1.0)]},
        samples=(),
        histogram=np.zeros(12, dtype=int),
        percentiles={},
        labels=(),
        patch_labels=(),
        neighbours=(),
        coactive=(),
    )
    opened = open_page(write(tmp_path / "g", pages=[bare]), "#latent=6")
    assert values(opened) == [1.0]
    assert opened.locator("#latent .panel h2").all_inner_texts() == ["Note"]
    assert opened.locator(".samples").count() == 0


def test_words_of_the_decoder_direction(tmp_path: Path, open_page: Open) -> None:
    named = page(6, directions=[(HOSTILE[0], 5.25), ("zebra", 4.0)])
    opened = open_page(write(tmp_path / "g", pages=[named]), "#latent=6")
    rows = opened.locator(f"{panel(opened, 'Its decoder direction points to')} li")
    assert rows.nth(0).text_content() == f"{HOSTILE[0]}5.25"
    assert rows.nth(1).text_content() == "zebra4"
