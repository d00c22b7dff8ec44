"""The page of one latent."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery.detail_galleries import EDGES, HOSTILE, N_PICTURES, other_sae, overview, page, pictures, write
from tests.gallery.latent_page import panel, values

from saev.gallery.data import LatentExample, ShownName
from saev.gallery.label_counts import LabelCount

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def check_samples(opened: "Page") -> None:
    """They go from low to high."""
    assert values(opened, ".samples") == [0.5, 1.5, 2.5, 3.5]
    rows = opened.locator(".sample-row h3").all_inner_texts()
    assert rows == [f"Images, {which} quarter" for which in ("weakest", "second", "third", "strongest")]
    assert opened.locator(".sample-row p").all_inner_texts() == ["0.500", "1.50", "2.50", "3.50"]
    assert opened.evaluate("[partName([0.8, 1]), partName([0.1, 0.4])]") == [
        "Images, strongest fifth", "Images, 10\u202f% to 40\u202f%"
    ]  # fmt: skip
    opened.locator(".samples .heat").first.wait_for()
    assert opened.locator(".samples a").nth(3).get_attribute("href") == "#picture=3&latent=17"


def check_histogram(opened: "Page") -> None:
    """Bars and percentiles stand where the numbers say; labels of percentiles never touch."""
    opened.locator(".histogram").wait_for()
    text = opened.locator(".histogram").get_attribute("aria-label") or ""
    assert "127 tokens" in text
    assert "50 % are at most 5.00" in text
    read = "(all, names) => all.map((one) => names.map((name) => Number(one.getAttribute(name))))"
    x, height = np.array(opened.locator(".histogram .bar").evaluate_all(read, ["x", "height"])).T
    counts = np.array([1, 4, 16, 64, 32, 8, 2])
    np.testing.assert_allclose(height, np.maximum(1, counts / 64 * height.max()), rtol=1e-6)
    step = np.diff(x)
    np.testing.assert_allclose(step, step[0])
    (marks,) = np.array(opened.locator(".histogram .percentile").evaluate_all(read, ["x1"])).T
    bin_of = (np.log([2, 5, 12]) - np.log(EDGES[0])) / np.log(EDGES[1] / EDGES[0])
    np.testing.assert_allclose(marks, x[0] - 0.5 + (bin_of - 2) * step[0], atol=0.01)
    assert "0.707" in opened.locator(".histogram").text_content()  # where the bin before the first filled one starts
    end = opened.locator(".histogram text:not(.percentile-text)").nth(2).text_content()
    assert float(end or 0) == pytest.approx(EDGES[9], rel=0.01)  # where the last filled one ends
    cells = opened.locator(f"{panel(opened, 'Values')} td").all_inner_texts()
    assert cells == ["10", "50", "99", "2.00", "5.00", "12.0"]
    places = [0.1, 0.5, 1.0, 32, 99, 5.656854]
    found = opened.evaluate(
        "([edges, places]) => places.map((value) => binPlace(edges, value))", [EDGES.tolist(), places]
    )
    assert found == pytest.approx([0, 0, 2, 12, 12, 7], abs=1e-3)
    # A first bin from zero is linear.
    assert opened.evaluate("[0.25, 10 ** 0.5].map((value) => binPlace([0, 1, 10], value))") == [0.25, 1.5]
    rows = opened.evaluate(
        "percentileMarks([[1, 10], [50, 12], [90, 14], [99, 60], [99.9, 61]], (x) => x).map(({ row }) => row)"
    )
    assert rows == [0, 1, 2, 0, 1]


def test_head_numbers_samples_and_values(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, "#latent=17")
    assert opened.locator("#latent h1").inner_text() == "Latent 17"
    assert opened.locator(".latent-name").inner_text() == "stripes score 4.25 then zebra (3.50), grid (2.00)"
    numbers = dict(
        zip(
            opened.locator("#latent .stats dt").all_inner_texts(),
            opened.locator("#latent .stats dd").all_inner_texts(),
            strict=True,
        )
    )
    share = float(overview().frequency[17])
    assert numbers == {
        "Frequency": f"{100 * share:.3g}\u202f% 1 in {round(1 / share)} tokens",
        "Images": f"{100 * share**0.5:.3g}\u202f%",
        "Mean when active": "9.00",
        "Largest value": "18.0",
    }
    assert opened.locator("#latent .latent-name").inner_text() != ""
    check_samples(opened)
    check_histogram(opened)
    opened.evaluate("location.hash = '#latent=6'")
    opened.wait_for_selector("h1:text-is('Latent 6')")
    assert opened.locator("#latent .latent-name").inner_text() == ""


def test_orders_of_the_pictures(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, "#latent=17")
    assert values(opened) == [20 - i for i in range(N_PICTURES)]
    assert opened.locator(".switch span").all_inner_texts() == ["Strongest patch", "Sum over patches"]
    opened.check(".switch [value=img]", force=True)
    assert values(opened) == [100 + i for i in range(N_PICTURES)][::-1]
    assert opened.locator(".examples .name").first.inner_text() == "birds/7.png"
    for _ in range(2):
        opened.keyboard.press("o")
    opened.evaluate("location.hash = '#latent=25'")  # the order stays
    opened.wait_for_selector("h1:text-is('Latent 25')")
    assert values(opened)[0] == 107


def test_the_order_that_was_asked_for_comes_first(tmp_path: Path, open_page: Open) -> None:
    sums_first = page(6, top={"img": [LatentExample(3, 9.5)], "patch": [LatentExample(0, 2.5)]})
    opened = open_page(write(tmp_path / "g", pages=[sums_first]), "#latent=6")
    assert opened.locator(".switch span").all_inner_texts() == ["Sum over patches", "Strongest patch"]
    assert values(opened) == [9.5]


def test_one_order_needs_no_switch_and_is_used(tmp_path: Path, open_page: Open) -> None:
    only = page(6, top={"cls": [LatentExample(3, 2.5)]})
    opened = open_page(write(tmp_path / "g", pages=[only]), "#latent=6")
    assert values(opened) == [2.5]
    assert opened.locator(".switch").count() == 0


def test_a_picture_opens_its_page_and_the_latents_is_found_as_it_was_left(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, "#latent=17")
    values(opened)
    before = opened.locator(".samples figure").first.element_handle()
    for picture, place in (("2", ".examples a >> nth=2"), ("3", ".samples a >> nth=3")):
        opened.click(place)
        opened.wait_for_selector("#picture .fire")
        assert opened.url.endswith(f"#picture={picture}&latent=17")
        opened.go_back()
        opened.wait_for_selector("#latent h1:text-is('Latent 17')")
        assert opened.locator(".samples figure").first.evaluate("(now, before) => now === before", before)


def test_pictures_are_drawn_when_they_come_near(tmp_path: Path, open_page: Open) -> None:
    many = page(6, top={"patch": [LatentExample(i % N_PICTURES, 128.0 - i) for i in range(128)]}, samples=())
    opened = open_page(write(tmp_path / "g", pages=[many]), "#latent=6", width=700)
    assert values(opened) == [128 - i for i in range(18)]
    opened.click("text=Show all 128 pictures")
    assert values(opened) == [128 - i for i in range(128)]
    assert opened.locator(".more").is_hidden()
    assert opened.evaluate("document.activeElement.closest('figure').querySelector('strong').textContent") == "110"
    assert opened.locator(".examples .heat").count() < 80
    opened.locator(".examples figure").last.scroll_into_view_if_needed()
    opened.locator(".examples figure").last.locator(".heat").wait_for()


def test_previous_and_next_go_through_the_list(latents_index: Path, open_page: Open) -> None:
    def leaf(text: str) -> list[str]:
        passed, last = opened.evaluate(
            """async (text) => {
              const title = () => document.querySelector("#latent h1").innerText;
              const next = () => [...document.querySelectorAll("#latent a.step")].find((a) => a.innerText === text);
              const passed = [title()];
              for (let step = next(); step !== undefined; step = next()) {
                step.click();
                while (title() === passed.at(-1)) await new Promise(requestAnimationFrame);
                passed.push(title());
              }
              return [passed, document.querySelector("#latent .step[aria-disabled]").innerText];
            }""",
            text,
        )
        assert last == text
        found: list[str] = passed
        return found

    opened = open_page(latents_index, "#latent=17")
    leaf("← Previous")
    passed = leaf("Next →")
    assert sorted(passed) == ["Latent 17", "Latent 25", "Latent 33", "Latent 6"]
    assert leaf("← Previous") == passed[::-1]


WITHOUT_PAGE = [
    ("3", "This latent never fired"),
    ("", "There is no latent"),
    ("20", "saev render --run_dir RUN --visualizer.include_latents '[20]'"),
    ("40", "There is no latent 40: this SAE has 40 latents, counted from 0"),
    ("999999999", "There is no latent 999999999"),
    ("-1", "There is no latent -1"),
    ("%3Cb%3E", "There is no latent <b>"),
]


def test_latents_without_a_page_get_a_text(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, f"#latent={WITHOUT_PAGE[0][0]}")
    for latent, text in WITHOUT_PAGE:
        opened.evaluate("(hash) => { location.hash = hash; }", f"#latent={latent}")
        opened.wait_for_selector(f"#latent .empty:has-text({json.dumps(text)})")
    opened.evaluate("location.hash = '#latent=17'")
    opened.wait_for_selector("#latent h1:text-is('Latent 17')")


def test_a_page_whose_file_is_gone_is_told(tmp_path: Path, open_page: Open, complaints: list[str]) -> None:
    index = write(tmp_path / "g")
    (index.parent / "data" / "latents" / "000017.js").unlink()
    opened = open_page(index, "#latent=17")
    opened.wait_for_selector("#latent .empty")
    assert "data/latents/000017.js is missing" in opened.locator("#latent .empty").inner_text()
    assert any("000017.js" in text for text in complaints)
    complaints.clear()


def test_a_page_that_comes_late_does_not_fill_another_ones(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, "#latent=17")
    opened.evaluate("location.hash = '#latent=6'; location.hash = '#latent=20'")
    opened.wait_for_selector("h1:text-is('Latent 20')")
    opened.evaluate("app.data.latent(6)")  # until it has come
    opened.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert opened.locator("#latent figure").count() == 0


def test_the_link_is_copied_or_if_the_browser_refuses_by_hand(latents_index: Path, open_page: Open) -> None:
    opened = open_page(latents_index, "#latent=17")
    opened.evaluate("() => { navigator.clipboard.writeText = async (text) => { self.copied = text; }; }")
    opened.click("text=Copy link")
    opened.wait_for_selector("text=Copied")
    assert opened.evaluate("self.copied") == opened.url
    opened.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')); }")
    opened.click(".copy-link button")
    field = opened.locator(".copy-link input")
    field.wait_for()
    assert field.input_value() == opened.url
    assert field.evaluate("(field) => field.selectionEnd - field.selectionStart") == len(opened.url)


def test_texts_of_users_stay_texts(tmp_path: Path, open_page: Open) -> None:
    hostile = page(
        6,
        labels=[LabelCount(text, 1, 0.5, 1.0, 1.0) for text in HOSTILE],
        patch_labels=[LabelCount(text, 1, 0.5, 1.0, 1.0) for text in HOSTILE],
        columns={text: [LabelCount(text, 1, 0.5, 1.0, 1.0)] for text in HOSTILE},
    )
    names = {6: ShownName(HOSTILE[0], 1.0, [(text, 0.5) for text in HOSTILE])}
    others = [other_sae(text, title) for text, title in zip(HOSTILE, HOSTILE[::-1], strict=True)]
    gallery = replace(overview(HOSTILE[2], names), others=others)
    opened = open_page(write(tmp_path / "g", gallery, [hostile], pictures(HOSTILE)), "#latent=6")
    for title in ("Labels of its images", "Labels of its patches"):
        cells = opened.locator(f"{panel(opened, title)} th[scope=row] bdi")
        assert texts(cells.evaluate_all("(all) => all.map((one) => one.textContent)")) == texts(HOSTILE)
    metadata = panel(opened, "Metadata of its images")
    options = opened.locator(f"{metadata} option")
    assert texts(options.evaluate_all("(all) => all.map((one) => one.textContent)")) == texts(HOSTILE)
    opened.locator(f"{metadata} select").select_option(index=1)
    assert opened.locator(f"{metadata} th[scope=row] bdi").text_content() == HOSTILE[1]
    shown = opened.locator(".examples .name bdi").evaluate_all("(all) => all.map((one) => one.textContent)")
    assert texts(shown) == texts(HOSTILE)
    assert opened.locator("#latent .latent-name strong").text_content() == HOSTILE[0]
    assert opened.locator(f"{panel(opened, 'In other SAEs')} li").count() == len(HOSTILE)
    alt = opened.locator(".examples img").first.get_attribute("alt") or ""
    assert alt.startswith(f"{HOSTILE[0]} ({HOSTILE[0]})")
    assert opened.locator("script:not([src])").count() == 0
    assert opened.locator("img:not([src^='images/'])").count() == 0


def texts(found: list[str]) -> list[bytes]:
    """Names that are broken come as a lone surrogate from Python and as U+FFFD from the browser."""
    return [text.encode("utf-8", "replace").replace("\ufffd".encode(), b"?") for text in found]
