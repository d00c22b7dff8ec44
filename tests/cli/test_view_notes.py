"""`saev view` keeps notes in the run."""

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browsing import FILES, Tabs
from tests.cli.fitting import only
from tests.cli.viewing import make_run, viewing

from saev.serving.run_notes import RunNotes

if TYPE_CHECKING:
    from playwright.sync_api import Page


def _check_that_faults_stand_alone(page: "Page", notes: RunNotes, latent: int) -> None:
    """What the server cannot take is said, once; all else is written, once, and what comes next, too."""
    from playwright.sync_api import expect

    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    now = notes.state()
    about = {"sae": now["sae"], "title": "", "half": None}
    changes = [{"latent": latent, "set": {"text": "t" * 9000}, "was": {"text": "of before"}}]
    notes.change(json.dumps(about | {"changes": changes}).encode())  # another page has filled the note
    page.evaluate("RunNotes.retry = 20; app.stars.change([{ picture: 1e300, name: 'a', set: '' }], true)")
    page.evaluate("(latent) => app.notes.set(latent, { text: 'u'.repeat(6000) })", latent)
    # More characters than bytes allow at once.
    page.evaluate(
        "app.notes.setAll(Array.from({ length: 75 }, (_, i) => ({ latent: 1000 + i, text: '猫'.repeat(10_000) })))"
    )
    expect(page.locator("#latent .note-status")).to_contain_text("All else is saved in", timeout=20_000)
    trouble = page.locator("#notes-trouble")
    expect(trouble).to_contain_text(f"latent {latent}: text has 15002 characters")
    expect(trouble).to_contain_text("a starred picture: 'picture' must be an integer")
    found = {one["latent"]: one["text"] for one in notes.state()["notes"]}
    assert found == {latent: "t" * 9000, **{1000 + i: "猫" * 10_000 for i in range(75)}}
    assert notes.state()["stars"] == now["stars"] == page.evaluate("app.stars.list")
    n_sent = len(sent)
    page.wait_for_timeout(200)
    assert len(sent) == n_sent, "what the server refuses is sent again and again"
    page.reload()  # it outlives the page
    expect(trouble).to_contain_text(f"latent {latent}: text has 15002 characters")
    page.evaluate("(latent) => app.notes.set(latent, { text: 'short' })", latent)
    expect(trouble).to_be_empty()
    assert notes.state()["notes"][0]["text"] == f"{'t' * 9000}\n\nshort"


@pytest.mark.browser
def test_notes_lie_in_the_run_and_outlive_a_killed_server(tmp_path: Path, tabs: Tabs) -> None:
    from playwright.sync_api import expect

    moved, complaints = make_run(tmp_path), tabs.complaints
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    argv = [f"--run_dir={moved}", "--weights=random", "--n_images=0", f"--port={port}"]
    tabs.allowed = (f"http://127.0.0.1:{port}/", *FILES)
    second, first = tabs.take(), tabs.take()  # the last one is in front

    def status(said: str) -> None:
        expect(first.locator("#latent .note-status")).to_contain_text(said)

    with viewing(*argv) as (process, address):
        first.goto(address)
        first.wait_for_selector("#cards li")
        key, latent = first.evaluate("[`saev-notes:${app.data.saeId}`, [...app.data.hasPage][0]]")
        old = [{"latent": latent, "star": True, "text": "of before"}]
        first.evaluate("([key, old]) => localStorage.setItem(key, JSON.stringify(old))", [key, old])
        star = {"picture": 0, "name": first.evaluate("app.data.pictures.get(0).name"), "set": ""}
        stars = key.replace("notes", "stars")
        first.evaluate("([key, star]) => localStorage.setItem(key, JSON.stringify([star, 3]))", [stars, star])
        first.goto(f"{first.url}#latent={latent}")
        first.reload()
        expect(first.locator("#notes-offer")).to_contain_text("This browser has 1 note on this SAE from before.")
        first.click("#notes-offer button")
        status(f"Saved in {moved / 'notes'}")
        expect(first.locator("#notes-offer")).to_be_hidden()
        kept = first.evaluate("(key) => [key, `${key}:unreadable`].map((one) => localStorage.getItem(one))", stars)
        assert (kept[0], json.loads(kept[1])) == (None, [star, 3])
        second.goto(first.url)
        second.wait_for_selector("#latent .example")
        first.fill("#latent [data-part='claim']", "eyes")
        expect(second.locator("#latent [data-part='claim']")).to_have_value("eyes")
        assert second.evaluate("app.stars.list") == [star]
        second.fill("#latent [data-part='confidence']", "30")
        expect(first.locator("#latent [data-part='confidence']")).to_have_value("30")
        complaints.clear()
        process.kill()
        process.communicate()
        first.fill("#latent [data-part='claim']", "eyes of cats")
        first.evaluate("app.stars.set(app.data, [0, 1].map((id) => app.data.pictures.get(id)), false)")
        first.evaluate("app.stars.set(app.data, [app.data.pictures.get(1)], true)")
        status("Not saved in the run yet.")
        expect(first.locator("#notes-trouble")).to_contain_text("are sent again")
    first.goto("about:blank")  # what was not sent outlives the page, too
    with viewing(*argv) as (process, address):
        first.goto(f"{address}{only(moved, 'features/*').name}/#latent={latent}")
        status(f"Saved in {moved / 'notes'}")
        file = only(moved, "notes/*.json")
        expected = {"latent": latent, "star": True, "text": "of before", "claim": "eyes of cats", "confidence": 30}
        kept = json.loads(file.read_text())
        assert kept["notes"] == [expected]
        assert [one["picture"] for one in kept["stars"]] == [1]
        assert first.evaluate("app.stars.list") == kept["stars"]
        assert first.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('saev-unsaved'))") == []
        _check_that_faults_stand_alone(first, RunNotes(file), latent)
        file.write_text("{")
        first.reload()
        status("Kept in this browser. The run cannot keep them: ")
        tabs.empty()
    assert [one for one in complaints if "ERR_CONNECTION_REFUSED" not in one and "failed http" not in one] == []
    tabs.allowed = FILES
