"""Each fault that docs/files.md lists is told apart by `saev shards verify`: its own line, and status 1."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.shards.small_recordings import make_acts, make_recording, record

from saev.cli.main import main

Damage = Callable[[Path], Path | None]
"""Damages a directory; returns its new path if it has one."""


def truncate(path: Path) -> None:
    os.truncate(path / "acts000001.bin", 559)


def extend(path: Path) -> None:
    os.truncate(path / "acts000001.bin", 561)


def swap(path: Path) -> None:
    (path / "acts000000.bin").rename(path / "x")
    (path / "acts000001.bin").rename(path / "acts000000.bin")
    (path / "x").rename(path / "acts000001.bin")


def lose(path: Path) -> None:
    (path / "acts000001.bin").unlink()


def stray(path: Path) -> None:
    shutil.copy(path / "acts000001.bin", path / "acts000003.bin")


def link(path: Path) -> None:
    shutil.move(path / "acts000001.bin", path.parent / "elsewhere")
    (path / "acts000001.bin").symlink_to("../elsewhere")


def damage(path: Path) -> None:
    data = bytearray((path / "acts000001.bin").read_bytes())
    data[100] ^= 1
    (path / "acts000001.bin").write_bytes(data)


def foreign_units(path: Path) -> None:
    recording = make_recording(source="/mine", layer=9)
    other = record(path.parent / "other", recording, make_acts(recording, seed=1))
    shutil.copy(other / "units.xxh3", path / "units.xxh3")


def edit(name: str, key: str, value: object) -> Damage:
    def change(path: Path) -> None:
        found = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps({**found, key: value}, indent=2) + "\n")

    return change


def copy(path: Path) -> Path:
    return shutil.copytree(path, path.parent / "vit-0123456789ab")


def foreign(path: Path) -> None:
    for name in ("manifest.json", "examples.jsonl"):
        (path / name).unlink()


def unfinished(path: Path) -> Path:
    (path / "metadata.json").unlink()
    (path / "acts000000.json").touch()
    return path.rename(path.parent / f".{path.name}.partial")


def empty(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()


FAULTS: list[tuple[Damage, list[str]]] = [
    (truncate, ["acts000001.bin: truncated: 559 bytes instead of 560"]),
    (extend, ["acts000001.bin: too long: 561 bytes instead of 560"]),
    (swap, ["acts000000.bin: holds the content of acts000001.bin", "acts000001.bin: holds the content of acts000000"]),
    (lose, ["acts000001.bin: is missing"]),
    (stray, ["acts000003.bin: a stray file of activations"]),
    (link, ["acts000001.bin: is a link: nothing outside the directory is read"]),
    (damage, ["acts000001.bin: block 0 (bytes 0 to 560, examples 4 to 8) damaged"]),
    (foreign_units, ["units.xxh3: block 0 (bytes 0 to 176) damaged or edited"]),
    (edit("metadata.json", "ckpt", "X"), ["metadata.json: ckpt is 'X', but the manifest says 'ViT/tag' (truncated: "]),
    (edit("metadata.json", "dataset", "/hers"), ["metadata.json: block 0 (bytes 0 to 355) damaged or edited"]),
    (edit("manifest.json", "dataset", "/hers"), ["manifest.json: damaged or edited: its own digest does not fit"]),
    (copy, ["vit-0123456789ab: the directory is named vit-0123456789ab, its content is vit-layer10-"]),
    (foreign, ["a recording of this saev whose manifest.json is missing: copy it again or record it again"]),
    (unfinished, [".partial: unfinished: 1 of 3 shards are recorded: run its `saev predict` again"]),
    (empty, [": not a directory of shards, it has no metadata.json: give a directory that `saev predict` printed"]),
]


@pytest.mark.parametrize(("spoil", "said"), FAULTS)
def test_each_fault_has_its_line(
    spoil: Damage, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = make_recording(source="/mine")
    path = record(tmp_path, recording, make_acts(recording))
    path = spoil(path) or path
    assert main(["shards", "verify", str(path)]) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines() or [err.splitlines()[-1].removeprefix("saev shards: error: ")]
    assert len(lines) == len(said)
    for line, text in zip(lines, said, strict=True):
        assert line.startswith(str(path))
        assert text in line
