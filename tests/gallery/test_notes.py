"""What is noted on a latent: kept, shown, found, listed by tags."""

import json
from pathlib import Path

import pytest
from tests.browsing import Open
from tests.gallery.galleries import make_gallery, write
from tests.gallery.pages import NOTES, after_each, expect_count, expect_listed, expect_text, listed, note

pytestmark = pytest.mark.browser


def test_stars_and_notes_survive_a_reload_and_belong_to_their_sae(index: Path, tmp_path: Path, open_page: Open) -> None:
    page = open_page(index)
    page.locator("li[data-latent='25'] .star").click()
    page.focus("li[data-latent='17'] a")
    page.keyboard.press("s")
    page.keyboard.press("n")
    page.keyboard.type("stripes, sn?")
    page.keyboard.press("Escape")
    expect_count(page, "dialog[open]", 0)
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#latent=17"
    expected = [note(17, True, "", claim="stripes, sn?"), note(25, True, "")]
    assert page.evaluate(NOTES) == expected
    expect_text(page, "li[data-latent='17'] .card-note", "stripes, sn?")
    page.reload()
    page.wait_for_selector("li[data-latent='17'] .star[aria-pressed='true']")
    assert page.evaluate(NOTES) == expected
    assert page.locator("#notes-count").text_content() == "2"
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#latent .star[aria-pressed='true']")
    page.keyboard.press("n")
    page.keyboard.press("End")
    page.keyboard.type("!")
    page.keyboard.press("Escape")  # leaves the field
    page.keyboard.press("s")
    page.keyboard.press("Escape")  # leaves the latent
    expect_text(page, "li[data-latent='17'] .card-note", "stripes, sn?!")
    expect_count(page, ".star[aria-pressed='true']", 1)
    other = write(tmp_path / "other", make_gallery(sae_id="sae-b"))
    assert open_page(other).evaluate(NOTES) == []


def test_another_tab_follows(index: Path, open_page: Open) -> None:
    first, second = open_page(index), open_page(index)
    first.locator("li[data-latent='25'] .star").click()
    second.wait_for_selector("li[data-latent='25'] .star[aria-pressed='true']")
    second.locator("li[data-latent='6'] .star").click()
    first.wait_for_selector("li[data-latent='6'] .star[aria-pressed='true']")
    assert first.evaluate(NOTES) == second.evaluate(NOTES) == [note(6, True, ""), note(25, True, "")]


@pytest.mark.parametrize(
    "broken",
    [
        "Storage.prototype.setItem = () => { throw new Error('the quota has been exceeded'); }",
        "Object.defineProperty(self, 'localStorage', { get() { throw new Error('access is denied'); } })",
    ],
)
def test_storage_that_fails_is_told_and_notes_stay_for_now(index: Path, open_page: Open, broken: str) -> None:
    page = open_page(index, script=broken)
    assert page.locator("#notes-trouble").is_hidden()
    page.locator("li[data-latent='25'] .star").click()
    trouble = page.locator("#notes-trouble").inner_text()
    assert "Notes cannot be kept in this browser (" in trouble
    assert broken.split("'")[-2] in trouble
    assert page.evaluate(NOTES) == [note(25, True, "")]


def test_unreadable_notes_are_set_aside(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.evaluate("localStorage.setItem('saev-notes:sae-a', '[1]')")
    page.reload()
    page.locator("li[data-latent='25'] .star").click()
    assert page.evaluate("localStorage.getItem('saev-notes:sae-a:unreadable')") == "[1]"
    assert json.loads(page.evaluate("localStorage.getItem('saev-notes:sae-a')")) == [note(25, True, "")]


def test_a_note_is_a_hypothesis_that_is_found_by_all_of_it(full_index: Path, open_page: Open) -> None:
    page = open_page(full_index, "#latent=17")
    page.wait_for_selector("#latent .example")
    page.keyboard.press("n")
    page.keyboard.type("zebra stripes")
    page.fill("#latent [data-part='confidence']", "70")
    page.fill("#latent [data-part='confidence']", "700")  # no percentage: what stood there stays
    page.select_option("#latent [data-part='verdict']", "supported")
    page.fill("#latent [data-part='text']", "or bars?")
    for tag in ("to test", "animals", "to test"):
        page.fill("#latent .tag-text", tag)
        page.keyboard.press("Enter")
    page.locator("#latent .examples .evidence").nth(1).click()
    page.locator("#latent .examples .evidence").nth(0).click()
    page.locator("#latent .examples .evidence").nth(1).click()
    (kept,) = page.evaluate(NOTES)
    (shown,) = kept.pop("evidence")
    assert shown["name"] == page.locator("#latent .examples .name").nth(0).text_content()
    said = {"claim": "zebra stripes", "confidence": 70, "verdict": "supported", "tags": ["to test", "animals"]}
    assert kept == note(17, False, "or bars?", **said)
    assert "Saved in this browser at" in page.locator("#latent .note-status").inner_text()
    page.locator("#latent .evidence-list a").click()
    page.wait_for_selector("#picture .evidence[aria-pressed='true']")
    page.evaluate("app.notes.set(6, { star: true, tags: ['animals'], claim: 'dots' })")
    page.evaluate("location.hash = ''")
    expect_text(page, "li[data-latent='17'] .card-note", "zebra stripes (supported, 70\u202f%) #to test #animals")
    words = ("zebra", "BARS", "to test", "supported", f"{shown['name']} zebra")
    assert after_each(page, [("#filter-search", one) for one in words]) == [[17]] * len(words)
    page.fill("#filter-search", "")
    page.select_option("#filter-tag", "animals")
    assert sorted(listed(page)) == [6, 17]
    page.select_option("#filter-verdict", "own:open")
    expect_listed(page, [6])
    page.evaluate("app.notes.set(6, { tags: [], claim: '' })")
    expect_listed(page, [])  # the choice stays though nothing has it
    assert page.input_value("#filter-verdict") == "own:open"


def test_a_name_of_the_users_stands_in_the_place_of_one_that_was_found(index: Path, open_page: Open) -> None:
    page = open_page(index, "#latent=17")
    expect_text(page, "#latent .latent-name", "stripes score 0.800 then zebra (0.500)")
    page.fill("#latent [data-part='name']", "zebra <b>")
    expect_text(page, "#latent .latent-name", "zebra <b> found: stripes score 0.800 then zebra (0.500)")
    page.goto(f"{index.as_uri()}#latent=6")
    page.fill("#latent [data-part='name']", "dots")
    page.evaluate("location.hash = ''")
    page.check("#filter-named")
    expect_listed(page, [6, 17, 33])
    expect_text(page, "li[data-latent='17'] .own-name", "zebra <b>")
    for words, found in (("<b>", [17]), ("stripes", [17]), ("dots", [6])):
        page.fill("#filter-search", words)
        expect_listed(page, found)
    page.reload()
    expect_text(page, "li[data-latent='6'] .own-name", "dots")
    page.evaluate("app.notes.set(6, { name: ' ' })")
    expect_listed(page, [])  # a name of nothing is none


def test_a_tag_is_a_list_of_latents_with_an_address(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.fill("#filter-search", "birds/")
    page.check("#filter-named")
    page.click("#notes-menu summary")
    page.fill(".tag-all input", "a & b")
    page.get_by_role("button", name="Add", exact=True).click()
    expect_text(page, "#notes-message", "2 of 2 listed latents changed: 2 with the tag a & b now.")
    page.goto(f"{index.as_uri()}#latent=17")
    page.click("#latent .tag a")
    expect_listed(page, [17, 33])
    assert page.evaluate("location.hash") == "#tag=a+%26+b&kind=all"
    page.fill("#filter-search", "33")
    page.click("#notes-menu summary")
    page.get_by_role("button", name="Take away").click()
    expect_listed(page, [])
    assert page.evaluate(NOTES) == [note(17, False, "", tags=["a & b"])]
