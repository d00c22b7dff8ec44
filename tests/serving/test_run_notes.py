"""Notes that `saev view` keeps in the run: merged field by field, written whole, read strictly."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.serving.conftest import ask, error, serve

from saev.latents.notes_file import read_notes_file
from saev.serving.asked import BadRequest
from saev.serving.run_notes import RunNotes
from saev.serving.server import GalleryServer

EVIDENCE = {"picture": 7, "name": "caf\udce9.png"}
ABOUT = {"sae": "0123456789abcdef", "title": "g", "half": None}


def change(latent: int, new: dict[str, Any], was: dict[str, Any] | None = None, **about: object) -> bytes:
    return json.dumps({**ABOUT, **about, "changes": [{"latent": latent, "set": new, "was": was or {}}]}).encode()


def stored(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))["notes"]


def test_two_pages_lose_nothing_of_each_other(tmp_path: Path) -> None:
    one, other = RunNotes(tmp_path / "notes" / "x.json"), RunNotes(tmp_path / "notes" / "x.json")  # two servers
    one.change(change(3, {"claim": "eyes", "tags": ["a"], "star": True, "name": "eye", "hypotheses": [{"t": 1}]}))
    other.change(change(3, {"claim": "cats", "name": "cat", "tags": ["b"], "confidence": 40, "hypotheses": [{"t": 2}]}))
    other.change(change(5, {"text": "dots"}))
    assert stored(one.path) == [
        {"latent": 3, "claim": "eyes\n\ncats", "tags": ["a", "b"], "star": True, "name": "cat",
         "hypotheses": [{"t": 1}, {"t": 2}], "confidence": 40},
        {"latent": 5, "text": "dots"},
    ]  # fmt: skip
    # A page that goes on with what it had sent, and one that takes back what it saw.
    one.change(change(3, {"claim": "cats' eyes", "tags": []}, {"claim": "cats", "tags": ["a"]}))
    assert {"claim": "eyes\n\ncats' eyes", "tags": ["b"]}.items() <= stored(one.path)[0].items()
    answer = one.change(change(5, {"text": ""}, {"text": "dots"}))
    assert answer == {"stars": [], "notes": [{"latent": 5}], "faults": []}
    assert [note["latent"] for note in stored(one.path)] == [3]
    said = {"path": str(one.path), "reason": None, "sae": ABOUT["sae"], "stars": [], "notes": stored(one.path)}
    assert one.state() == said
    assert [path.name for path in one.path.parent.iterdir()] == ["x.json"]


def test_claims_that_are_too_long_together_are_both_kept(tmp_path: Path) -> None:
    notes = RunNotes(tmp_path / "x.json")
    first, second = "a" * 600, "b" * 600
    notes.change(change(3, {"claim": first, "text": "t" * 5000}))
    notes.change(change(3, {"claim": second}, {"claim": ""}))
    notes.change(change(3, {"claim": f"{second}c"}, {"claim": second}))  # its author goes on writing
    (note,) = stored(notes.path)
    assert (note["claim"], note["text"]) == (first, f"{'t' * 5000}\n\nAnother claim: {second}c")
    # Where there is no room at all, one note is refused, and all others are saved.
    asked = json.loads(change(3, {"text": "u" * 6000}, {"text": ""}))
    asked["changes"].append({"latent": 4, "set": {"star": True}, "was": {}})
    answer = notes.change(json.dumps(asked).encode())
    ((latent, why),) = (one.values() for one in answer["faults"])
    assert latent == 3
    assert why.startswith("latent 3: text has 11620 characters, and 10000 are the most: another page")
    assert answer["notes"] == stored(notes.path) == [note, {"latent": 4, "star": True}]


def test_starred_pictures_come_and_go_one_by_one(tmp_path: Path) -> None:
    one, other = RunNotes(tmp_path / "x.json"), RunNotes(tmp_path / "x.json")
    first, second = {"picture": 3, "name": "a.png", "set": ""}, {"picture": 3, "name": "a.png", "set": "held_out"}
    one.change(change(1, {"star": True}, stars={"add": [first], "take": [second]}))
    assert other.change(change(1, {}, stars={"add": [second, first], "take": []}))["stars"] == [first, second]
    one.change(change(1, {"text": "dots"}))
    assert one.change(change(1, {}, stars={"add": [], "take": [first]}))["stars"] == one.state()["stars"] == [second]


def test_stars_that_are_none_take_nothing_with_them(tmp_path: Path) -> None:
    notes, star = RunNotes(tmp_path / "x.json"), {"picture": 3, "name": "a.png", "set": ""}
    odd: list[object] = [star | {"more": 1}, star | {"picture": 1e300}, star | {"set": None}, [], None]
    answer = notes.change(change(1, {"text": "dots"}, stars={"add": [*odd, star, star], "take": odd}))
    assert [one["latent"] for one in answer["faults"]] == [None] * 10
    assert all("a starred picture" in one["why"] for one in answer["faults"])
    assert answer["stars"] == notes.state()["stars"] == [star]
    assert answer["notes"] == stored(notes.path) == [{"latent": 1, "text": "dots"}]


@pytest.mark.parametrize("name", [None, 3, "a" * 201, {"of": "others"}])
def test_names_that_other_programs_kept_before_there_were_names(tmp_path: Path, name: object) -> None:
    notes = RunNotes(tmp_path / "x.json")
    notes.change(change(1, {"text": "dots"}))
    file = json.loads(notes.path.read_text())
    file["notes"][0]["name"] = name
    notes.path.write_text(json.dumps(file))
    assert notes.state()["notes"] == [{"latent": 1, "text": "dots", "name": name}]
    (note,) = read_notes_file(notes.path).notes
    assert (note.name, note.more) == ("", {} if name is None else {"old_name": name})
    notes.change(change(2, {"star": True}))
    assert stored(notes.path)[0] == {"latent": 1, "text": "dots", "name": name}


def test_what_the_page_takes_is_kept_letter_by_letter(tmp_path: Path) -> None:
    """Letters of all scripts count once, as in the page; half an emoji, as pastes and names of files have it, stays."""
    notes = RunNotes(tmp_path / "x.json")
    said = {"claim": "\u732b" * 1000, "text": "\u732b" * 10_000, "tags": ["\ud83d"], "evidence": [EVIDENCE]}
    assert notes.change(change(3, said))["notes"] == [{"latent": 3, **said}]
    assert stored(notes.path) == notes.state()["notes"] == [{"latent": 3, **said}]
    assert [one.name for one in read_notes_file(notes.path).notes[0].evidence] == [EVIDENCE["name"]]


def test_many_writers_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    writers = [threading.Thread(target=RunNotes(path).change, args=(change(i, {"star": True}),)) for i in range(12)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert stored(path) == [{"latent": i, "star": True} for i in range(12)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not valid JSON"),
        (b"[]", "expected an object"),
        (change(1, {}, more=1), "unknown keys"),
        (change(-1, {}), "'latent' must be an integer"),
        (change(1, {"star": True}, sae="f" * 16), "is on another SAE, trained before: move that file away"),
        (change(1, {"star": True}, half=3), "'half' must be an object"),
        (change(1, {}, stars={"add": []}), "stars: missing keys"),
    ],
)
def test_what_are_no_changes_changes_nothing(tmp_path: Path, body: bytes, said: str) -> None:
    notes = RunNotes(tmp_path / "x.json")
    notes.change(change(1, {"claim": "kept"}))
    before = notes.path.read_bytes()
    with pytest.raises(BadRequest, match=said):
        notes.change(body)
    assert notes.path.read_bytes() == before


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({"star": 1}, "latent 1: 'star' must be true or false"),
        ({"confidence": 101}, "latent 1: confidence is 101"),
        ({"claim": "a" * 1001}, "latent 1: claim has 1001 characters, and 1000 are the most"),
        ({"text": "a" * 10_001}, "latent 1: text has 10001 characters"),
        ({"tags": [str(i) for i in range(51)]}, "latent 1 has 51 tags"),
        ({"hypotheses": ["a" * 65_536]}, "latent 1 has more than 65536 characters"),
    ],
)
def test_what_is_no_note_is_left_out(tmp_path: Path, new: dict[str, Any], said: str) -> None:
    notes = RunNotes(tmp_path / "x.json")
    notes.change(change(1, {"verdict": "refuted"}))
    before = notes.path.stat()
    answer = notes.change(change(1, new))
    (fault,) = answer["faults"]
    assert (fault["latent"], said in fault["why"]) == (1, True)
    assert answer["notes"] == stored(notes.path) == [{"latent": 1, "verdict": "refuted"}]
    assert notes.path.stat() == before, "the file was written though nothing changed"


def test_files_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    notes = RunNotes(tmp_path / "x.json")
    notes.path.write_text("{")
    assert "not valid JSON" in str(notes.state()["reason"])
    with pytest.raises(ValueError, match="not valid JSON"):
        notes.change(change(1, {"star": True}))
    assert notes.path.read_text() == "{"
    (tmp_path / "file").write_text("")
    assert "cannot be written" in str(RunNotes(tmp_path / "file" / "x.json").state()["reason"])


def test_the_server_takes_them_from_its_own_page_alone(server: GalleryServer, name: str, run_dir: Path) -> None:
    path, file = f"/{name}/live/notes", run_dir / "notes" / f"{name}.json"
    body = change(1, {"claim": "eyes"})
    assert ask(server, "POST", path, body, Origin="http://evil.example")[0].status == 403
    assert ask(server, "POST", path, body, Sec_Fetch_Site="same-site")[0].status == 403
    assert ask(server, "POST", "/nothing/live/notes", body)[0].status == 405
    assert ask(server, "POST", path, b" " * (2**21 + 1))[0].status == 413
    assert not file.exists()
    try:
        for one in serve(run_dir / "features", {name: "no ViT"}):  # also where no ViT is behind it
            assert json.loads(ask(one, "POST", path, body)[1])["notes"] == [{"latent": 1, "claim": "eyes"}]
            assert json.loads(ask(one, "GET", path)[1])["notes"] == stored(file)
        response, content = ask(server, "POST", path, change(1, {"star": 3}))
        why = "latent 1: 'star' must be true or false, found 3"
        assert (response.status, json.loads(content)["faults"]) == (200, [{"latent": 1, "why": why}])
        response, content = ask(server, "POST", path, change(1, {}, sae=3))
        assert (response.status, "'sae' must be" in error(content)) == (400, True)
    finally:
        file.unlink()
