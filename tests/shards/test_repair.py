"""Damaged shards are taken out, and recorded again they give the same bytes."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.shards.small_recordings import begin, contents, make_acts, make_labels, make_recording, record

from saev.cli.main import main
from saev.shards.reading.verify import faults
from saev.shards.writing.partial import PartialRecording

RECORDING = make_recording()  # 3 shards
ACTS, LABELS = make_acts(RECORDING), make_labels(RECORDING)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return record(tmp_path, RECORDING, ACTS, labels=LABELS)


Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "missing"),
    [
        ({"acts000001.bin": flip}, [1]),
        ({"acts000000.bin": Path.unlink, "acts000002.bin": lambda path: os.truncate(path, 3)}, [0, 2]),
        ({"metadata.json": flip}, []),
        ({"shards.json": Path.unlink}, []),
        ({"metadata.json": Path.unlink, "acts000001.bin": flip}, [1]),  # as a repair that was killed leaves it
    ],
)
def test_damaged_shards_alone_are_recorded_again(
    damage: dict[str, Damage], missing: list[int], directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(directory)
    for name, spoil in damage.items():
        spoil(directory / name)
    assert main(["shards", "repair", str(directory)]) == 0
    lines = capsys.readouterr().out.splitlines()
    place = PartialRecording(directory.parent, RECORDING, with_labels=True)
    assert lines[-1] == f"{place.path}: {3 - len(missing)} of 3 shards stay: run its `saev predict` again"
    assert len(lines) == len(missing) + 1
    assert place.missing() == missing
    assert [path.name for path in directory.parent.iterdir()] == [place.path.name]
    kept = {s: (place.path / f"acts{s:06d}.bin").stat().st_mtime_ns for s in range(3) if s not in missing}
    record(directory.parent, RECORDING, ACTS, labels=LABELS)
    assert contents(directory) == before
    assert kept == {s: (directory / f"acts{s:06d}.bin").stat().st_mtime_ns for s in kept}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"examples.jsonl": flip}, "examples.jsonl: block 0 .*without it nothing can be kept"),
        ({"units.xxh3": flip}, "units.xxh3: block 0 .*without it nothing can be kept"),
        ({"labels.bin": Path.unlink}, "labels.bin: is missing.*without it nothing can be kept"),
        ({"manifest.json": flip}, "manifest.json"),
        ({f"acts{shard:06d}.bin": flip for shard in range(3)}, "no shard is whole: move .* away"),
    ],
)
def test_what_cannot_be_repaired_is_left_as_it_is(
    damage: dict[str, Damage], said: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, spoil in damage.items():
        spoil(directory / name)
    before = contents(directory)
    assert main(["shards", "repair", str(directory)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(said, err.splitlines()[-1])
    assert contents(directory) == before


def test_of_a_whole_directory_nothing_is_repaired(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(directory)
    assert main(["shards", "repair", str(directory)]) == 0
    assert capsys.readouterr().out == f"{directory}: is whole: there is nothing to repair\n"
    assert contents(directory) == before


def test_another_name_and_a_run_at_work_are_refused(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(directory / "acts000001.bin")
    moved = directory.rename(directory.parent / "other")
    assert main(["shards", "repair", str(moved)]) == 1
    assert "give it that name again" in capsys.readouterr().err
    place, writer = begin(directory.parent, RECORDING, with_labels=True)
    moved.rename(directory)
    assert main(["shards", "repair", str(directory)]) == 1
    assert "another run is recording the same thing" in capsys.readouterr().err
    writer.abort()
    place.leave()
    assert faults(directory) != []
