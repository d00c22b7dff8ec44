"""`saev shards info` and `saev shards verify` on what `saev predict` recorded, whole and damaged."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.recording import folder, options, recorded, write_pictures
from tests.writable import writable

from saev.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def shards(tmp_path: Path, capsys: Capture) -> Path:
    root = write_pictures(tmp_path / "pictures")
    argv = options(tmp_path / "out", folder(root), "--writer.n_patches_per_shard=202")
    (directory,) = recorded(argv, capsys)
    return writable(directory)


def test_info_says_what_was_recorded(shards: Path, capsys: Capture):
    assert main(["shards", "info", str(shards)]) == 0
    out = capsys.readouterr().out
    for said in (
        "timm test_vit",
        "1 CLS + 100 patches (10 x 10)",
        "float32",
        "5 (505 tokens)",
        "in 3 files",
        "pictures",
    ):
        assert said in out


def test_verify_says_ok_of_what_is_whole(shards: Path, capsys: Capture):
    assert main(["shards", "verify", str(shards)]) == 0
    assert capsys.readouterr().out == f"OK {shards}\n"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(key: str, value: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))

    return change


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("acts000001.bin", flip, r"block 0 .*examples 2 to 4.* damaged"),
        ("acts000001.bin", Path.unlink, "is missing"),
        ("acts000002.bin", lambda path: os.truncate(path, 9), "truncated: 9 bytes instead of"),
        ("examples.jsonl", flip, "block 0"),
        ("shards.json", flip, "shards.json"),
        ("manifest.json", flip, "manifest.json"),
        ("manifest.json", Path.unlink, "a recording of this saev whose manifest.json is missing"),
        ("manifest.json", edit("schema", 99), "schema '99' cannot be read"),
        ("metadata.json", edit("protocol", "9.9"), "protocol '9.9' cannot be read, only 2.1 and 3.0"),
        ("metadata.json", edit("d_model", 32), "d_model is 32, but the manifest says 64"),
        ("metadata.json", Path.unlink, "has no metadata.json"),
    ],
)
def test_every_fault_is_a_clear_line_and_status_1(
    name: str, damage: Callable[[Path], None], said: str, shards: Path, capsys: Capture
):
    damage(shards / name)
    capsys.readouterr()
    assert main(["shards", "verify", str(shards)]) == 1
    out, err = capsys.readouterr()
    assert "OK" not in out
    assert "Traceback" not in err
    lines = [line for line in (out + err).replace("\r", "\n").splitlines() if re.search(said, line)]
    assert lines, (out, err)
    assert str(shards) in lines[0]


@pytest.mark.parametrize("command", ["info", "verify"])
def test_a_wrong_directory_is_one_line(command: str, shards: Path, tmp_path: Path, capsys: Capture):
    for path, said in ((tmp_path / "none", "no such directory"), (shards.parent, f"did you mean {shards}")):
        assert main(["shards", command, str(path)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.splitlines()[-1].startswith(f"saev shards: error: {path}: ")
        assert said in err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "to be one of {info,verify,repair,bench,unfinished}"),
        (["look"], "look"),
        (["info"], "required and not given: "),
        (["info", "a", "b"], "b"),
        (["verify", "--fast", "a"], "there is no option --fast"),
    ],
)
def test_wrong_command_lines_are_one_line(argv: list[str], said: str, capsys: Capture):
    assert main(["shards", *argv]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("saev shards: error: ")
    assert said in err
    assert len(err.splitlines()) == 1
