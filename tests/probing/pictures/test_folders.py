"""Folders of tasks: their pictures are known by their bytes."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from saev.errors import InputError
from saev.probing.pictures.folders import read_tasks, task_attributes
from saev.shards.format.examples import ExampleRecord


def picture(path: Path, grey: int) -> str:
    """Save a picture, and its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), grey).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def records(tmp_path: Path) -> list[ExampleRecord]:
    """Six recorded pictures, the first and the last of which are the same."""
    digests = [picture(tmp_path / "recorded" / f"{i}.png", 10 * (i % 5)) for i in range(6)]
    return [ExampleRecord(f"{i}.png", None, 4, 4, 70, digest) for i, digest in enumerate(digests)]


def copied(tmp_path: Path, greys: dict[str, list[int]]) -> Path:
    """Folders with pictures under names of their own, some levels deep."""
    for folder, values in greys.items():
        (tmp_path / "tasks" / folder).mkdir(parents=True)
        for number, grey in enumerate(values):
            picture(tmp_path / "tasks" / folder / "deep" / f"copy {number}.png", grey)
    return tmp_path / "tasks"


def test_recorded_pictures_are_found_by_their_bytes(tmp_path: Path, records: list[ExampleRecord]) -> None:
    root = copied(
        tmp_path,
        {
            "wet-positive": [0, 10, 200, 200],
            "wet-negative": [30, 210],
            "old-negative": [20],
            "old-positive": [40],
        },
    )
    old, wet = read_tasks(root, records)
    assert (old.name, wet.name) == ("old", "wet")
    assert wet.y_i.tolist() == [1, 1, -1, 0, -1, 1]
    assert [(one.path.name, one.positive) for one in wet.new] == [("copy 2.png", True), ("copy 1.png", False)]
    assert [hashlib.sha256(one.path.read_bytes()).hexdigest() for one in wet.new] == [one.digest for one in wet.new]
    assert old.new == []
    found = task_attributes([old, wet])
    assert [(one.source, one.family, one.name) for one in found.binary] == [
        ("folders", "old", "old"),
        ("folders", "wet", "wet"),
    ]
    assert found.labels_of("folders", "wet").tolist() == wet.y_i.tolist()


@pytest.mark.parametrize(
    ("greys", "message"),
    [
        ({}, r"tasks: cannot be read \(.*\): give image, patch, or a folder with folders of"),
        ({"wet": [10]}, r"tasks: no folders of tasks, such as stripes-positive and stripes-negative: make them"),
        ({"wet-positive": [10]}, r"task 'wet' has no folder wet-negative: a task needs both of its sides"),
        ({"wet-positive": [10], "wet-negative": []}, r"folder '.*wet-negative' has no pictures .*; no file is in it"),
        (
            {"wet-positive": [10, 20], "wet-negative": [0, 20]},
            r"task 'wet': .*wet-positive/deep/copy 1\.png and .*wet-negative/deep/copy 1\.png are the same picture: ",
        ),
    ],
)
def test_tasks_that_cannot_be_used_are_refused(
    tmp_path: Path, records: list[ExampleRecord], greys: dict[str, list[int]], message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_tasks(copied(tmp_path, greys), records)
    assert "\n" not in str(caught.value)


def test_a_task_of_recorded_pictures_of_one_side_is_refused(tmp_path: Path, records: list[ExampleRecord]) -> None:
    tasks = read_tasks(copied(tmp_path, {"wet-positive": [10], "wet-negative": [200, 210]}), records)
    with pytest.raises(
        InputError, match=r"task 'wet': none of the 2 pictures in wet-negative was recorded: fill it with copies"
    ):
        task_attributes(tasks)


def test_files_that_cannot_be_read_are_named(tmp_path: Path, records: list[ExampleRecord]) -> None:
    root = copied(tmp_path, {"wet-positive": [10], "wet-negative": [20]})
    (root / "wet-negative" / "gone.png").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"gone\.png.* is missing; replace it"):
        read_tasks(root, records)


def test_a_recording_without_hashes_of_its_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the recording has no SHA-256 of its pictures: record them with"):
        read_tasks(tmp_path, [ExampleRecord("example 0", None, 0, 0, 0, "")])
