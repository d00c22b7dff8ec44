"""Notes and stars of pictures as a file: exported, imported, refused."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browsing import Open
from tests.gallery.galleries import HOSTILE
from tests.gallery.pages import NOTES, expect_text, note

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

WELL = {"format": "saev-notes", "version": 2, "sae": "sae-a", "title": "A gallery", "half": None, "notes": []}


def import_file(page: "Page", content: object) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    page.set_input_files("#notes-import", {"name": "x.json", "mimeType": "application/json", "buffer": text.encode()})


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
    (WELL | {"stars": [{"picture": 1e300, "name": "a.png", "set": ""}]}, '"stars" is not a list of pictures'),
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


def test_what_other_programs_put_in_a_file_is_no_fault(index: Path, open_page: Open) -> None:
    page = open_page(index)
    star = {"picture": 1, "name": "birds/1.png", "set": ""}
    odd = [note(3, True, "", name=None), note(4, False, "", name="a" * 201), note(5, False, "", name={"of": "others"})]
    page.click("#notes-menu summary")
    for n in (3, 0):
        import_file(page, WELL | {"notes": odd, "stars": [star | {"seen": True}]})
        stars = ", 1 new star of pictures" if n else ""
        expect_text(page, "#notes-message", f"3 notes read: {n} new or changed, {3 - n} known already{stars}.")
    others = [note(4, False, "", old_name="a" * 201), note(5, False, "", old_name={"of": "others"})]
    assert page.evaluate(NOTES) == [note(3, True, ""), *others]
    assert page.evaluate("app.stars.list") == [star]
    page.evaluate("([key, kept]) => localStorage.setItem(key, JSON.stringify(kept))", ["saev-notes:sae-a", odd])
    page.evaluate("localStorage.setItem('saev-stars:sae-a', JSON.stringify([app.stars.list[0], 3]))")
    page.reload()
    expect_text(page, "#notes-count", "3")
    assert page.evaluate(NOTES) == [note(3, True, ""), *others]
    assert page.evaluate("app.stars.list") == [star]
    assert json.loads(page.evaluate("localStorage.getItem('saev-stars:sae-a:unreadable')")) == [star, 3]
