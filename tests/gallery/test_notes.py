"""Notes and stars: kept, exported, imported."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browsing import Open
from tests.gallery.galleries import HOSTILE, make_gallery, write
from tests.gallery.pages import after_each, expect_count, expect_listed, expect_text, listed

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NOTES = "app.notes.list"
WELL = {"format": "saev-notes", "version": 2, "sae": "sae-a", "title": "A gallery", "half": None, "notes": []}


def note(latent: int, star: bool, text: str, **more: object) -> dict[str, object]:
    return {"latent": latent, "star": star, "text": text, **more}


def import_file(page: "Page", content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    page.set_input_files("#notes-import", {"name": "x.json", "mimeType": "application/json", "buffer": text.encode()})


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


def test_export_and_import_give_the_same_notes(index: Path, open_page: Open) -> None:
    page = open_page(index)
    evidence = [{"picture": 2, "name": HOSTILE[1]}, {"picture": 2, "name": "a.jpg", "set": "held_out"}]
    said = {"name": HOSTILE[2], "claim": "stripes", "confidence": 0, "verdict": "refuted", "tags": ["a b", HOSTILE[0]]}
    kept = [
        note(3, False, HOSTILE[0], hypotheses=[{"threshold": 0.5}]),
        note(17, True, "why", **said, evidence=evidence),
        note(39, True, "two\nlines \U0001f99c"),
    ]
    page.evaluate(f"app.notes.setAll({json.dumps(kept[::-1])})")
    stars = [{"picture": 1, "name": "birds/1.png", "set": ""}]
    page.evaluate("app.stars.set(app.data, [app.data.pictures.get(1)], true)")
    page.click("#notes-menu summary")
    with page.expect_download() as download:
        page.click("#notes-export")
    assert download.value.suggested_filename == "notes-A-gallery.json"
    exported = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert exported == WELL | {"notes": kept, "stars": stars}
    page.evaluate("app.data.half = { seed: 3, group: ['site'] }")
    assert page.evaluate("notesFile(app.data, app.notes, app.stars).half") == {"seed": 3, "group": ["site"]}
    page.evaluate("app.notes.setAll(app.notes.list.map(({ latent }) => ({ latent, star: false, text: '' })))")
    page.evaluate("app.stars.put([])")
    assert page.evaluate(NOTES) == []
    import_file(page, exported)
    expect_text(page, "#notes-message", "3 notes read: 3 new or changed, 0 known already, 1 new star of pictures.")
    assert page.evaluate(NOTES) == kept
    assert page.evaluate("app.stars.list") == stars
    import_file(page, exported)
    expect_text(page, "#notes-message", "3 notes read: 0 new or changed, 3 known already.")


def test_merging_loses_nothing_and_twice_is_once(index: Path, open_page: Open) -> None:
    page = open_page(index)
    mine = [
        note(6, True, "mine", name="eye", claim="eyes", tags=["a"], confidence=10),
        note(17, False, "same"),
        note(25, False, ""),
    ]
    page.evaluate(f"app.notes.setAll({json.dumps(mine)})")
    yours = {
        "name": "beak",
        "claim": "beaks",
        "tags": ["b", "a"],
        "confidence": 90,
        "verdict": "supported",
        "hypotheses": [1],
    }
    coming = WELL | {"notes": [
        note(6, False, "yours", **yours), note(17, True, "same"), {"latent": 25, "claim": "new"}, note(33, False, "")
    ]}  # fmt: skip
    merged = {
        "name": "eye",
        "claim": "eyes",
        "tags": ["a", "b"],
        "confidence": 10,
        "verdict": "supported",
        "hypotheses": [1],
    }
    for text in (
        "4 notes read: 3 new or changed, 1 known already.",
        "4 notes read: 0 new or changed, 4 known already.",
    ):
        import_file(page, coming)
        page.locator("#notes-menu").evaluate("(menu) => { menu.open = true; }")
        expect_text(page, "#notes-message", text)
        assert page.evaluate(NOTES) == [
            note(6, True, "mine\n\nyours\n\nAnother name: beak\n\nAnother claim: beaks", **merged),
            note(17, True, "same"),
            note(25, False, "", claim="new"),
        ]
    # What no file would hold stays as it was, and does not take the others with it.
    before = page.evaluate(NOTES)
    import_file(page, WELL | {"notes": [note(17, True, "y" * 9999), note(33, True, "")]})
    expect_text(page, "#notes-message", "2 notes read: 1 new or changed, 0 known already, 1 without room.")
    expect_text(page, "#notes-trouble", "There is no room for more in the note on latent 17: it stays as it was.")
    page.reload()
    expect_text(page, "#notes-count", "4")
    assert page.evaluate(NOTES) == [*before, note(33, True, "")]


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


def test_notes_on_another_sae_are_merged_only_when_confirmed(index: Path, open_page: Open) -> None:
    page = open_page(index)
    page.click("#notes-menu summary")
    foreign = WELL | {"sae": "sae-b", "title": HOSTILE[0], "notes": [note(6, True, HOSTILE[1])]}
    for button, merged in (("Cancel", []), ("Import all the same", [note(6, True, HOSTILE[1])])):
        import_file(page, foreign)
        question = page.locator("#notes-question")
        question.wait_for()
        assert HOSTILE[0] in question.inner_text()
        assert page.evaluate(NOTES) == []
        question.get_by_role("button", name=button).click()
        assert question.is_hidden()
        assert page.evaluate(NOTES) == merged
    expect_text(page, "li[data-latent='6'] .card-note", HOSTILE[1])


REFUSED: list[tuple[object, str]] = [
    ("{", "it is not JSON"),
    ("null", '"format" is not "saev-notes"'),
    ([], '"format" is not "saev-notes"'),
    (WELL | {"version": 3}, "its version is 3, and this page reads versions 1 and 2"),
    (WELL | {"version": 1, "notes": [note(1, True, "", claim="")]}, "notes[0] is not {"),
    (WELL | {"version": 1, "notes": [{"latent": 1, "star": True}]}, "notes[0] is not {"),
    (WELL | {"notes": [note(1, True, "", confidence=101)]}, "notes[0].confidence is not a whole number from 0 to 100"),
    (WELL | {"notes": [note(1, True, "", verdict="yes")]}, "notes[0].verdict is not one of open, supported, refuted"),
    (WELL | {"notes": [note(1, True, "", tags=["a" * 61])]}, "notes[0].tags is not a list of"),
    (WELL | {"notes": [note(1, True, "", evidence=[{"picture": 1}])]}, "notes[0].evidence is not a list of"),
    (WELL | {"notes": [note(1, True, "", hypotheses=["a" * 65_536])]}, "notes[0] has more than 65536 characters"),
    (WELL | {"sae": 3}, '"sae" is not a text'),
    (WELL | {"notes": {}}, '"notes" is not a list'),
    (WELL | {"stars": [{"picture": 1, "name": "a.png"}]}, '"stars" is not a list of pictures'),
    (
        WELL | {"notes": [note(1, True, ""), note(40, True, "")]},
        "notes[1] is of latent 40, and this SAE has latents 0 to 39",
    ),
    (WELL | {"notes": [note(1, True, ""), note(1, True, "")]}, "notes[1] is a second one of latent 1"),
    (WELL | {"notes": [note(-1, True, "")]}, "notes[0].latent is not"),
    (WELL | {"notes": [{"latent": 1.5, "star": True, "text": ""}]}, "notes[0].latent is not"),
    (WELL | {"notes": [{"latent": 1, "star": 1, "text": ""}]}, "notes[0].star is not"),
    (WELL | {"notes": [note(2, True, "a"), None]}, "notes[1] is not"),
]


def test_files_that_are_not_notes_are_refused_whole(index: Path, open_page: Open) -> None:
    page = open_page(index)
    answers = page.evaluate(
        """async (texts) => {
          const menu = app.notesMenu;
          const answers = [];
          for (const text of texts) {
            await menu.import(new File([text], "x.json"));
            answers.push([menu.message.textContent, menu.message.className, app.notes.list.length]);
          }
          return answers;
        }""",
        [content if isinstance(content, str) else json.dumps(content) for content, _ in REFUSED],
    )
    for (said, kind, n), (content, message) in zip(answers, REFUSED, strict=True):
        assert message in said, content
        assert ("error" in kind, n) == (True, 0), content
    import_file(page, REFUSED[0][0])  # as the others, from the button on
    page.click("#notes-menu summary")
    page.wait_for_selector(f"#notes-message.error:has-text({json.dumps(REFUSED[0][1])})")
    import_file(page, WELL)
    expect_text(page, "#notes-message", "0 notes read: 0 new or changed, 0 known already.")


def test_many_notes_come_at_once(index: Path, open_page: Open) -> None:
    page = open_page(index)
    import_file(page, WELL | {"notes": [note(i, True, f"note {i}") for i in range(40)]})
    page.click("#notes-menu summary")
    expect_text(page, "#notes-message", "40 notes read: 40 new or changed, 0 known already.")
    page.check("#filter-starred")
    page.select_option("#filter-kind", "all")
    expect_text(page, "#list-count", "40 of 40 latents")
