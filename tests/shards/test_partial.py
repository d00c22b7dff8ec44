"""An unfinished recording goes on from its whole shards, and is never taken for a finished one."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from tests.shards.small_recordings import (
    begin,
    contents,
    make_acts,
    make_examples,
    make_labels,
    make_recording,
    record,
    write,
)

from saev.errors import InputError
from saev.shards.writing.partial import PartialRecording

RECORDING = make_recording()  # 3 shards of 4, 4 and 3 examples
ACTS, LABELS = make_acts(RECORDING), make_labels(RECORDING)


@pytest.fixture
def undisturbed(tmp_path: Path) -> dict[str, bytes]:
    return contents(record(tmp_path / "undisturbed", RECORDING, ACTS, labels=LABELS))


def interrupted(root: Path, shards: list[int], more: int = 0) -> PartialRecording:
    """A recording that was left after some whole shards and a few examples of another one."""
    place, writer = begin(root, RECORDING, with_labels=True)
    write(writer, RECORDING, ACTS, shards, labels=LABELS)
    if more:
        place_of = RECORDING.layout.examples_in(next(s for s in range(3) if s not in shards))
        part = slice(place_of.start, place_of.start + more)
        writer.append(part.start, ACTS[part], make_examples(11)[part], LABELS[part])
    writer.abort()
    place.leave()
    return place


def test_the_shards_that_are_whole_stay(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    place = interrupted(tmp_path / "a", [1], more=2)
    assert place.finished() is None
    assert place.missing() == [0, 2]
    before = (place.path / "acts000001.bin").stat()
    directory = record(tmp_path / "a", RECORDING, ACTS, labels=LABELS)
    assert contents(directory) == undisturbed
    assert (directory / "acts000001.bin").stat().st_mtime_ns == before.st_mtime_ns
    assert list((tmp_path / "a").iterdir()) == [directory]


def test_nothing_stays_without_a_whole_shard(tmp_path: Path) -> None:
    interrupted(tmp_path, [], more=3)
    assert list(tmp_path.iterdir()) == []


def test_a_shard_whose_files_changed_is_recorded_again(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    changes = {
        "acts000000.json": lambda path: path.write_text(path.read_text()[:-5]),
        "acts000001.bin": lambda path: os.truncate(path, 7),
        "examples000002.jsonl": Path.unlink,
        "units000000.xxh3": lambda path: path.write_bytes(path.read_bytes()[8:]),
    }
    for name, change in changes.items():
        place = interrupted(tmp_path / name, [0, 1, 2])
        assert place.missing() == []
        change(place.path / name)
        assert place.missing() == [int(Path(name).stem[-1])]
        assert contents(record(tmp_path / name, RECORDING, ACTS, labels=LABELS)) == undisturbed


def test_records_of_another_recording_do_not_count(tmp_path: Path) -> None:
    place = interrupted(tmp_path, [0])
    other = PartialRecording(tmp_path, make_recording(layer=9), with_labels=True)
    place.path.rename(other.path)
    assert other.missing() == [0, 1, 2]


@pytest.mark.parametrize("name", ["labels000001.bin", "examples000001.jsonl", "units000001.xxh3"])
def test_a_part_that_was_damaged_is_found_when_it_is_joined_and_recorded_anew(
    tmp_path: Path, name: str, undisturbed: dict[str, bytes]
) -> None:
    place = interrupted(tmp_path / "a", [0, 1, 2])
    path = place.path / name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(InputError, match=f"{name}: damaged since it was written: run the same command again"):
        record(tmp_path / "a", RECORDING, ACTS, labels=LABELS)
    assert place.missing() == [1]
    assert contents(record(tmp_path / "a", RECORDING, ACTS, labels=LABELS)) == undisturbed


def test_a_record_that_cannot_be_read_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = interrupted(tmp_path, [0, 1])
    before = contents(place.path)
    opened = os.open

    def stale(path: str, *args: int, **kwargs: int) -> int:
        if str(path).endswith(".json"):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        return opened(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", stale)
        with pytest.raises(InputError, match="Stale file handle"):
            place.claim()
        place.leave()
    assert contents(place.path) == before


def test_records_of_another_version_are_not_touched(tmp_path: Path) -> None:
    place = interrupted(tmp_path, [0, 1])
    path = place.path / "acts000001.json"
    path.write_text(path.read_text().replace('"schema": 2', '"schema": 1'))
    before = contents(place.path)
    with pytest.raises(InputError, match=r"schema 1: another version of saev began this .*remove .* and record again"):
        place.claim()
    assert contents(place.path) == before


def test_a_described_recording_that_was_changed_is_not_published(tmp_path: Path) -> None:
    place, writer = begin(tmp_path, RECORDING)
    write(writer, RECORDING, ACTS, range(3))
    writer.finish()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "rename", failing_rename)
        with pytest.raises(InputError, match="Input/output error"):
            place.publish()
    place.leave()
    assert place.progress() == (3, 3)
    os.truncate(place.path / "acts000001.bin", 3)
    place.claim()
    with pytest.raises(InputError, match=r"acts000001.bin: truncated: 3 bytes instead of .*changed by another hand"):
        place.publish()
    place.leave()
    assert place.path.exists()


def failing_rename(path: Path, target: Path) -> Path:
    if path.is_dir():
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return path.replace(target)


def test_what_does_not_belong_there_is_cleared(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    place = interrupted(tmp_path, [0])
    for name in (
        "examples.jsonl",
        "units000001.xxh3",
        "units.xxh3",
        "manifest.json",
        "metadata.json.new",
        "acts000002.json.new",
        "stale",
    ):
        (place.path / name).write_text("stale")
    assert contents(record(tmp_path, RECORDING, ACTS, labels=LABELS)) == undisturbed


def test_nothing_has_the_final_name_before_it_is_whole(tmp_path: Path) -> None:
    place, writer = begin(tmp_path, RECORDING)
    write(writer, RECORDING, ACTS, range(3))
    writer.finish()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [f".{RECORDING.directory_name}.partial"]
    assert not (place.path / "metadata.json").exists()
    assert place.publish() == tmp_path / RECORDING.directory_name
    assert not place.path.exists()


def test_a_finished_directory_is_read_only_and_never_touched_again(tmp_path: Path) -> None:
    place, writer = begin(tmp_path, RECORDING, with_labels=True)
    write(writer, RECORDING, ACTS, range(3), labels=LABELS)
    writer.finish()
    directory = place.publish()
    writable = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    assert not any(path.stat().st_mode & writable for path in (directory, *directory.iterdir()))
    before = {path: path.stat().st_mtime_ns for path in (directory, *directory.iterdir())}
    place = PartialRecording(tmp_path, RECORDING, with_labels=True)
    assert place.finished() == directory
    with pytest.raises(InputError, match="already exists: move it away"):
        place.claim()
    assert {path: path.stat().st_mtime_ns for path in (directory, *directory.iterdir())} == before
    assert list(tmp_path.iterdir()) == [directory]


def test_the_record_of_a_shard_holds_its_hashes(tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    place = interrupted(tmp_path, [2])
    found = json.loads((place.path / "acts000002.json").read_text())["files"]["acts000002.bin"]
    assert found == json.loads(undisturbed["manifest.json"])["files"]["acts000002.bin"]
