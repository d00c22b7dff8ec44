"""`saev view` keeps notes in the run."""

import json
import socket
from pathlib import Path

import pytest
from tests.browsing import FILES, Tabs
from tests.cli.fitting import only
from tests.cli.viewing import make_run, viewing


@pytest.mark.browser
def test_notes_lie_in_the_run_and_outlive_a_killed_server(tmp_path: Path, tabs: Tabs) -> None:
    from playwright.sync_api import expect

    moved, complaints = make_run(tmp_path), tabs.complaints
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    argv = [f"--run_dir={moved}", "--weights=random", "--n_images=0", f"--port={port}"]
    tabs.allowed = (f"http://127.0.0.1:{port}/", *FILES)
    first, second = tabs.take(), tabs.take()

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
        first.evaluate("([key, star]) => localStorage.setItem(key, JSON.stringify([star]))", [stars, star])
        first.goto(f"{first.url}#latent={latent}")
        first.reload()
        expect(first.locator("#notes-offer")).to_contain_text("This browser has 1 note on this SAE from before.")
        first.click("#notes-offer button")
        status(f"Saved in {moved / 'notes'}")
        expect(first.locator("#notes-offer")).to_be_hidden()
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
        file.write_text("{")
        first.reload()
        status("Kept in this browser. The run cannot keep them: ")
        tabs.empty()
    assert [one for one in complaints if "ERR_CONNECTION_REFUSED" not in one and "failed http" not in one] == []
    tabs.allowed = FILES
