"""Filters, order and plots of the overview."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.browsing import Open
from tests.gallery import detail_galleries
from tests.gallery.galleries import N_LATENTS, make_gallery, write
from tests.gallery.pages import (
    after_each,
    drag,
    expect_count,
    expect_listed,
    expect_text,
    positions,
    wait_until_drawn,
)

from saev.gallery.data import LatentExample

pytestmark = pytest.mark.browser

GALLERY = make_gallery()
ALIVE = range(4, N_LATENTS)


def within(column: np.ndarray, low: float, high: float) -> set[int]:
    return {i for i in ALIVE if low <= column[i] <= high}


def test_every_order_either_way(index: Path, open_page: Open) -> None:
    page = open_page(index)
    expect_listed(page, [6, 17, 25, 33])  # average precision of the label above chance, highest first
    page.click("#sort-direction")
    expect_listed(page, [25, 17, 6, 33])  # those without a label or name come last either way
    page.click("#sort-direction")
    page.select_option("#sort-key", "index")
    expect_listed(page, [33, 25, 17, 6])
    steps: list[tuple[str, str | None]] = []
    expected = []
    for key, descending in (
        ("index", [33, 25, 17, 6]),
        ("frequency", [33, 25, 17, 6]),
        ("imageFrequency", [17, 33, 25, 6]),
        ("meanValue", [6, 17, 25, 33]),
        ("maxValue", [6, 17, 25, 33]),
        ("topRatio", [25, 33, 6, 17]),
        ("spread", [17, 25, 33, 6]),
    ):
        steps += [("#sort-key", key), ("#sort-direction", None), ("#sort-direction", None)]
        expected += [descending, descending[::-1], descending]
    for key in ("purity", "selectivity"):
        steps.append(("#sort-key", key))
        expected.append([17, 25, 6, 33])
    steps += [("#sort-key", "nameScore"), ("#sort-direction", None)]
    expected += [[33, 17, 6, 25], [17, 33, 6, 25]]
    assert after_each(page, steps) == expected


def test_a_random_order_is_kept_until_it_is_shuffled_anew(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index)
    page.select_option("#sort-key", "shuffled")
    orders = "app.overview.list.join()"
    first = page.evaluate(orders)
    page.get_by_role("button", name="Shuffle anew").click()
    second = page.evaluate(orders)
    numbers = [sorted(map(int, order.split(","))) for order in (first, second)]
    assert numbers[0] == numbers[1] == list(range(4, 40))
    assert len({first, second, ",".join(map(str, range(4, 40)))}) == 3
    page.reload()
    page.wait_for_selector("#cards li")
    assert page.evaluate(orders) == second


def test_rare_latents_come_last_where_few_pictures_say_little(tmp_path: Path, open_page: Open) -> None:
    page = open_page(write(tmp_path, make_gallery(rare_below=0.1)))  # latent 6 fires on .06 of the pictures
    expect_listed(page, [17, 25, 6, 33])  # and 33 has no label
    steps = [("#sort-key", "meanValue"), ("#sort-direction", None), ("#sort-key", "frequency")]
    assert after_each(page, steps) == [[17, 25, 33, 6], [33, 25, 17, 6], [6, 17, 25, 33]]


def test_kinds_reset_and_search(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.select_option("#sort-key", "index")
    page.click("#sort-direction")
    assert page.is_disabled("#filter-reset")
    page.select_option("#filter-kind", "dead")
    expect_listed(page, [0, 1, 2, 3])
    expect_count(page, ".card img", 0)
    page.select_option("#filter-kind", "alive")
    expect_text(page, "#list-count", "36 of 40 latents")
    page.check("#filter-named")
    expect_listed(page, [17, 33])
    page.keyboard.press("Escape")
    page.locator("li[data-latent='33'] .star").click()
    page.check("#filter-starred")
    expect_listed(page, [33])
    page.locator("li[data-latent='33'] .star").click()  # is no longer one of those that are asked for
    expect_text(page, "#list-count", "0 of 40 latents")
    assert "No latent passes the filters" in page.locator("#nothing").inner_text()
    page.click("#filter-reset")
    expect_listed(page, [6, 17, 25, 33])
    assert not page.is_checked("#filter-named")
    assert page.is_disabled("#filter-reset")
    # The search finds numbers, names, labels and notes.
    page.evaluate("app.notes.set(25, { text: 'Night SKY?' })")
    page.fill("#filter-search", "birds")  # a label of two, and the folder of the pictures of all
    expect_listed(page, [6, 17, 25, 33])
    finds = {"3": [33], "17": [17], "STRI": [17], "fish": [17], "sky": [25, 33], "sky ?": [25]}
    assert after_each(page, [("#filter-search", text) for text in finds]) == list(finds.values())
    page.fill("#filter-search", "cars")
    expect_text(page, "#list-count", "0 of 40 latents")
    page.click("#nothing button")  # the one that says it has no pictures
    expect_listed(page, [30])


def test_search_finds_file_names_of_strong_pictures_and_labels_that_are_no_chance(
    tmp_path: Path, open_page: Open, complaints: list[str]
) -> None:
    few = detail_galleries.page(6, top={"patch": [LatentExample(3, 9.0)]}, labels=[], patch_labels=[])
    page = open_page(detail_galleries.write(tmp_path / "g", pages=[few, detail_galleries.page(17)]))
    page.select_option("#sort-key", "index")
    expect_listed(page, [17, 6])
    assert not page.evaluate("app.data.kept.has('data/search.js')"), "nobody has searched yet"
    search = (tmp_path / "g" / "data" / "search.js").rename(tmp_path / "away")
    page.fill("#filter-search", "birds/4 ")
    said = "data/search.js is missing from this gallery's folder."
    expect_text(page, "#search-trouble", f"File names and labels are not searched: {said}")
    complaints.clear()  # the browser names the file, too
    search.rename(tmp_path / "g" / "data" / "search.js")  # the next words try again
    for text, found in (
        ("BIRDS/3", [17, 6]),
        ("birds/4", [17]),
        ("beak", [17]),
        ("beak .png stripes", [17]),
        ("fish", []),  # a label that is rarer there than everywhere
        ("3", []),  # a number means latents
    ):
        page.fill("#filter-search", text)
        expect_listed(page, found)


def test_ranges_by_keyboard_and_by_brushing(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.select_option("#filter-kind", "all")
    page.fill("#frequency-from", "0.5")
    page.fill("#frequency-to", "5")
    expected = within(GALLERY.frequency, 0.005, 0.05)
    expect_text(page, "#list-count", f"{len(expected)} of 40 latents")
    page.fill("#value-from", "4")
    expected &= within(GALLERY.mean_value, 4, 99)
    assert 0 < len(expected) < 20
    expect_listed(page, sorted(expected))
    page.reload()
    expect_listed(page, sorted(expected))
    page.click("#clear-ranges")
    expect_text(page, "#list-count", "40 of 40 latents")
    assert page.input_value("#frequency-from") == ""
    page.select_option("#sort-key", "meanValue")
    (x0, y0), (x1, y1) = positions(page, (12, 20))
    drag(page, "#scatter canvas >> nth=0", (x1 + 3, y1 + 3), (x0 - 3, y0 - 3))  # from either corner
    expect_listed(page, range(12, 21))
    wait_until_drawn(page)
    box, plot = page.locator(".brush").bounding_box(), page.locator("#scatter canvas").first.bounding_box()
    assert box is not None
    assert plot is not None
    assert abs(box["x"] - plot["x"] - x0 + 3) < 1.5
    assert abs(box["height"] - (y1 - y0 + 6)) < 1.5
    page.keyboard.press("Escape")
    expect_text(page, "#list-count", "40 of 40 latents")
    wait_until_drawn(page)
    assert page.locator(".brush").is_hidden()
    drag(page, "#scatter canvas >> nth=0", (x0 - 3, y0 - 3), (x1 + 3, y1 + 3))
    expect_text(page, "#list-count", "9 of 40 latents")
    page.click("#scatter", position={"x": 300, "y": 20})  # beside all points
    expect_text(page, "#list-count", "40 of 40 latents")
    wait_until_drawn(page)
    counts = page.evaluate("app.overview.histogram.counts")
    assert sum(counts) == 36
    first, last = 6, 9
    places = page.evaluate(f"[{first}, {last}].map((bar) => app.overview.histogram.centre(bar))")
    drag(page, "#histogram canvas", (places[1], 60), (places[0], 20))
    expect_text(page, "#list-count", f"{sum(counts[first : last + 1])} of 40 latents")
    wait_until_drawn(page)
    assert page.evaluate("app.overview.histogram.listed.filter((n) => n > 0).length") <= 4
    page.click("#histogram canvas", position={"x": places[0], "y": 80})
    expect_text(page, "#list-count", f"{counts[first]} of 40 latents")
    assert f": {counts[first]} latent" in page.locator(".plot-caption").inner_text()  # the pointer is still there
    page.click("#histogram canvas", position={"x": 20, "y": 90})
    expect_listed(page, [0, 1, 2, 3])
    assert page.input_value("#filter-kind") == "dead"


def test_points_stand_where_axes_say_and_tell_what_they_are(index: Path, open_page: Open) -> None:
    page = open_page(index)
    places = dict(zip(ALIVE, positions(page, ALIVE), strict=True))
    xs, ys = zip(*places.values(), strict=True)
    steps = np.diff(xs)  # frequencies are a geometric sequence, so a log axis spaces them evenly
    assert np.allclose(steps, steps[0], rtol=1e-3)
    assert (np.diff(ys) > 0).all()  # mean values fall, and pixels count downwards
    assert page.evaluate("logTicks(-3.1, 0.2)") == [0.001, 0.01, 0.1, 1]
    assert page.evaluate("logTicks(-0.1, 1.1)") == [1, 2, 5, 10]
    back = page.evaluate(f"app.overview.scatter.x.value({xs[10]})")
    assert back == pytest.approx(GALLERY.frequency[14], rel=1e-5)
    page.hover("li[data-latent='25']")
    assert page.locator(".tooltip strong").inner_text() == "Latent 25"
    page.hover("#title")
    assert page.locator(".tooltip").is_hidden()
    plot = page.locator("#scatter").bounding_box()
    assert plot is not None
    for latent in (4, 39, 17, 20):  # 4 stands top left and 39 bottom right, and their texts stay within the plot
        x, y = places[latent]
        page.hover("#scatter", position={"x": x, "y": y})
        title, text, left, right = page.locator(".tooltip").evaluate(
            "(tip) => { const { left, right } = tip.getBoundingClientRect();"
            " return [tip.querySelector('strong').innerText, tip.innerText, left, right]; }"
        )
        assert title == f"Latent {latent}"
        assert ("no pictures" in text) == (latent != 17), text
        assert plot["x"] <= left < right <= plot["x"] + plot["width"]
    page.click("#scatter", position={"x": x, "y": y})
    page.wait_for_selector("#latent h1:text-is('Latent 20')")
    assert page.url.endswith("#latent=20")
    page.go_back()
    page.wait_for_selector("#overview:not([hidden])")


def test_the_address_has_the_filters_and_the_order(index: Path, open_page: Open) -> None:
    page = open_page(index)
    expect_listed(page, [6, 17, 25, 33])
    page.evaluate("app.notes.set(17, { claim: 'x', tags: ['a b&c'] })")
    page.fill("#filter-search", "stripes zebra?")
    page.select_option("#filter-kind", "alive")
    page.check("#filter-named")
    page.fill("#frequency-to", "20")
    page.select_option("#filter-tag", "a b&c")
    page.select_option("#sort-key", "index")
    page.click("#sort-direction")
    page.fill("#filter-search", "strip")
    page.evaluate("app.overview.address.flush()")
    hash_ = page.evaluate("location.hash")
    said = {"search": "strip", "kind": "alive", "named": "1", "frequency": "..0.2", "tag": "a b&c", "sort": "index"}
    assert page.evaluate("Object.fromEntries(new URLSearchParams(location.hash.slice(1)))") == said | {
        "descending": "0"
    }
    assert page.evaluate("history.state.depth") == 0  # no step of its own
    page.click("li[data-latent='17'] a")
    page.wait_for_selector("#latent .example")
    page.click("#latent .steps a:text-is('All latents')")  # an address that says nothing: the tab remembers
    expect_listed(page, [17])
    page.go_back()
    page.go_back()
    expect_listed(page, [17])
    assert page.evaluate("location.hash") == hash_
    other = open_page(index, hash_)  # a link
    expect_listed(other, [17])
    assert other.input_value("#filter-search") == "strip"
    other.click("#filter-reset")
    expect_listed(other, [33, 25, 17, 6][::-1])
    other.evaluate("app.overview.address.flush()")
    assert other.evaluate("location.hash") == "#sort=index&descending=0"
    # What is none of this gallery is passed over, and only that; what others keep there stays.
    bad = open_page(index, "#kind=constructor&sort=x&seeds=9&frequency=1&named=2&meanValue=a..&starred=1&x=y")
    expect_listed(bad, [])
    bad.evaluate("app.overview.address.flush()")
    assert bad.evaluate("location.hash") == "#starred=1&x=y"


def test_plots_are_folded_where_they_stand_above_the_list(index: Path, open_page: Open) -> None:
    page = open_page(index, width=900)
    assert page.locator("#plots").is_hidden()
    page.click("#survey summary")
    wait_until_drawn(page)
    assert page.locator("#plots").is_visible()
    page.set_viewport_size({"width": 1200, "height": 800})
    assert page.locator("#plots").is_visible()
    assert open_page(index, "#frequency=0.1..", width=900).locator("#plots").is_visible()  # they show what is selected


def test_broken_filters_of_an_older_page_are_forgotten(index: Path, open_page: Open) -> None:
    page = open_page(index)
    well = page.evaluate("new Filters(app.data, app.notes).initial")
    broken = ({"kind": "constructor"}, {"search": 3}, {"frequency": [1]}, {"meanValue": ["0", 1]}, {"sort": "x"})
    kept = ["nonsense", "[1]", "null", *(json.dumps(well | {"isStarred": True} | part) for part in broken)]
    read = page.evaluate(
        """(kept) => kept.map((text) => {
          sessionStorage.setItem("saev-filters:sae-a", text);
          return new Filters(app.data, app.notes).state;
        })""",
        kept,
    )
    assert read == [well] * len(kept)
    starred = json.dumps(json.dumps(well | {"isStarred": True}))
    page.evaluate(f"sessionStorage.setItem('saev-filters:sae-a', {starred})")
    page.reload()
    expect_listed(page, [])
    assert page.is_checked("#filter-starred")
