"""The directory of a demo: what is refused, and what goes on."""

import json
from pathlib import Path
from typing import Any

import pytest

from saev.demo.folder import MARKER, DemoFolder, DemoOptions, Finished
from saev.demo.frozen import FrozenClaim, frozen
from saev.demo.steps import Demo
from saev.errors import InputError

SMALL = DemoOptions(n_scenes=200)
CLAIM: dict[str, Any] = {
    "file": "colour", "id": "metadata-red", "text": "red", "latents": [3], "truth": "red", "is_true": True, "why": "x"
}  # fmt: skip
STEP = Finished("record", 1.5, ["200 scenes"], {"shards": "a"})


def made(path: Path) -> DemoFolder:
    """A demo with one finished step."""
    folder = DemoFolder.at(path, SMALL)
    with folder.at_work():
        folder.note(STEP)
    return folder


def edited(path: Path, **changes: object) -> None:
    """Another marker."""
    marker = path / MARKER
    marker.write_text(json.dumps(json.loads(marker.read_text()) | changes))


def test_what_is_finished_is_found_again(tmp_path: Path) -> None:
    made(tmp_path / "demo")
    again = DemoFolder.at(tmp_path / "demo", SMALL)
    assert again.done("record") == STEP
    assert again.facts("record", "shards").text("shards") == "a"
    assert again.done("train") is None
    assert [path.name for path in (tmp_path / "demo").iterdir()] == [MARKER]


def test_what_is_no_demo_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="is not empty, and no demo of saev"):
        DemoFolder.at(tmp_path, SMALL)
    with pytest.raises(InputError, match="is a file: give a directory, new or empty"):
        DemoFolder.at(tmp_path / "mine", SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_killed_beginning_is_an_empty_directory(tmp_path: Path) -> None:
    for name in (f".{MARKER}.partial", ".lock"):
        (tmp_path / name).write_text("")
    assert made(tmp_path).done("record") == STEP


def test_a_demo_made_otherwise_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(InputError, match="a demo made with --n_scenes 200 --seed 0: give these, or another"):
        DemoFolder.at(tmp_path, DemoOptions(n_scenes=300))
    for changes, said in (
        ({"saev": "9.0"}, r"another version of saev \(9.0; this is"),
        ({"version": 2}, "another version of saev"),
        ({"format": "x"}, "is no marker of a demo"),
        ({"finished": [{"name": "record"}]}, "missing keys"),
        ({"options": {"n_scenes": 200, "seed": "0"}}, "'seed' must be an integer"),
    ):
        before = (tmp_path / MARKER).read_bytes()
        edited(tmp_path, **changes)
        with pytest.raises(InputError, match=said):
            DemoFolder.at(tmp_path, SMALL)
        (tmp_path / MARKER).write_bytes(before)
    (tmp_path / MARKER).write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        DemoFolder.at(tmp_path, SMALL)


@pytest.mark.parametrize("name", ["../../x", "/etc", "..", "a/b", "", "."])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    folder = DemoFolder(tmp_path, SMALL, [Finished("record", 1.0, [], {"shards": name, "fresh": "b"})])
    demo = Demo(folder)
    assert demo.fresh == tmp_path / "shards" / "b"
    with pytest.raises(InputError, match="is no name of a file: the marker was changed"):
        print(demo.shards)
    folder.note(Finished("freeze", 1.0, [], {"claims": [CLAIM | {"id": name}], "colour": "red", "latents": [3]}))
    with pytest.raises(InputError, match="is no name of a file: the marker was changed"):
        frozen(demo)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"claims": [CLAIM | {"file": "../x"}]}, "'file' must be one of colour"),
        ({"claims": [CLAIM | {"latents": ["1"]}]}, "'latents' must be a list of 1 integers"),
        ({"claims": [{"id": "a"}]}, "missing keys"),
        ({"claims": 7}, "'claims' must be a list"),
        ({"colour": "../x"}, "'colour' must be one of"),
        ({"latents": [-1]}, "'latents' must be a list"),
        ({"more": 1}, "unknown keys"),
    ],
)
def test_a_marker_whose_claims_were_changed_is_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    folder = DemoFolder(tmp_path, SMALL)
    facts: dict[str, object] = {"claims": [CLAIM], "colour": "red", "latents": [3, 5]}
    folder.note(Finished("freeze", 1.0, [], facts))
    found = frozen(Demo(DemoFolder.at(tmp_path, SMALL)))
    assert (found.claims, found.colour, found.of_colour) == ([FrozenClaim(**CLAIM)], "red", [3, 5])
    folder.finished.clear()
    folder.note(Finished("freeze", 1.0, [], facts | changes))
    with pytest.raises(InputError, match=said):
        frozen(Demo(DemoFolder.at(tmp_path, SMALL)))


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    folder, other = (DemoFolder.at(tmp_path / "demo", SMALL) for _ in range(2))
    with folder.at_work(), pytest.raises(InputError, match="another saev command is at work in it"), other.at_work():
        pass
    with other.at_work():
        assert other.finished == []


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.demo.folder.free_bytes", lambda _: 50_000_000)
    folder = DemoFolder.at(tmp_path / "demo", SMALL)
    with pytest.raises(InputError, match=r"takes \d+ MB more, 50 MB are free: make room"), folder.at_work():
        pass
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize("wrong", [{"n_scenes": 199}, {"n_scenes": 10**6}, {"seed": -1}, {"seed": 2**31}])
def test_numbers_without_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(wrong))} {next(iter(wrong.values()))}"):
        DemoOptions(**wrong)
