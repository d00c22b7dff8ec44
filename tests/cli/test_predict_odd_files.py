"""`saev predict` on names that lead to no regular file, on huge ones, and on pictures that start programs."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.cli.recording import activations, folder, noise, options, recorded, refused, write_pictures
from tests.fake_ghostscript import eps, put_first_in_path

from saev.vit.images import base

Capture = pytest.CaptureFixture[str]
Log = pytest.LogCaptureFixture
LIMIT = 100_000
"""Bytes that a picture may have in these tests."""


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, LIMIT + 1)  # sparse: it takes no room


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "FIFO": (os.mkfifo, "is no regular file"),
    "socket": (_socket, "is no regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
    "loop": (lambda path: path.symlink_to(path.name), r"cannot be read \(Too many levels of symbolic links\)"),
    "dangling link": (lambda path: path.symlink_to("/none/x.png"), "is missing"),
    "huge": (_huge, f"has {LIMIT + 1} bytes or more, at most {LIMIT} are read"),
}
NO_UTF_8 = b"bad\xff\x1b[2J.png".decode(errors="surrogateescape")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "MAX_FILE_BYTES", LIMIT)


def listed(root: Path, names: list[str]) -> list[str]:
    """The options for a list of pictures."""
    (root / "list.txt").write_text("\n".join(names), encoding="utf-8")
    return ["--data.images=ImageList", f"--data.images.file={root / 'list.txt'}"]


@pytest.mark.parametrize("is_list", [False, True], ids=["folder", "list"])
@pytest.mark.parametrize("kind", ODD)
def test_it_is_refused_before_anything_is_computed(kind: str, is_list: bool, tmp_path: Path, capsys: Capture) -> None:
    make, said = ODD[kind]
    root = write_pictures(tmp_path / "p", 4)
    make(root / "dog" / "x.png")
    source = listed(root, ["cat/0.png", "dog/x.png"]) if is_list else folder(root)
    where = "list.txt' line 2: " if is_list else ""
    said = f"{where}'dog/x.png' cannot be used: .*/dog/x.png: {said}; replace it, or leave it out with --data.on_bad"
    refused(options(tmp_path / "out", source), capsys, said, tmp_path / "out")


def test_all_of_them_are_skipped(tmp_path: Path, capsys: Capture, caplog: Log) -> None:
    root = write_pictures(tmp_path / "p", 4)
    (clean,) = recorded(options(tmp_path / "clean", folder(root)), capsys)
    for kind, (make, _) in ODD.items():
        make(root / "cat" / f"{kind}.png")
    noise(0).save(root / NO_UTF_8, "PNG")
    (root / "cat" / "notes.txt").symlink_to("nowhere")
    argv = options(tmp_path / "out", folder(root), "--data.on_bad_image=skip")
    (directory,) = recorded(argv, capsys)
    assert directory.name == clean.name
    assert torch.equal(activations(directory), activations(clean))
    left_out = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert len(left_out) == len(ODD) + 1
    assert [text for text in left_out if "is not UTF-8" in text]
    assert all(text.isprintable() for text in left_out)
    refused(options(tmp_path / "3", folder(root)), capsys, "file name 'bad.udcff.x1b.* is not UTF-8", tmp_path / "3")


@pytest.mark.parametrize("kind", ODD)
def test_masks_are_no_better(kind: str, tmp_path: Path, capsys: Capture, caplog: Log) -> None:
    make, said = ODD[kind]
    root = write_pictures(tmp_path / "p" / "images", 3).parent
    (root / "masks" / "cat").mkdir(parents=True)
    for number in range(2):
        Image.new("L", (48, 40), 1).save(root / "masks" / "cat" / f"{number}.png")
    make(root / "masks" / "cat" / "2.png")
    source = ["--data.images=SegmentationFolder", f"--data.images.root={root}"]
    said = f"mask 'cat/2.png' cannot be used: .*/masks/cat/2.png: {said}"
    refused(options(tmp_path / "out", source), capsys, said, tmp_path / "out")
    (directory,) = recorded(options(tmp_path / "out", source, "--data.on_bad_image=skip"), capsys)
    assert activations(directory).shape[0] == 2
    assert "left out: mask 'cat/2.png' cannot be used" in caplog.text


def test_a_mask_that_does_not_fit_is_skipped_with_its_picture(tmp_path: Path, capsys: Capture, caplog: Log) -> None:
    root = write_pictures(tmp_path / "p" / "images", 3).parent
    for number, size in enumerate([(48, 40), (48, 40), (9, 9)]):
        (root / "masks" / "cat").mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 1).save(root / "masks" / "cat" / f"{number}.png")
    Image.new("RGB", (48, 40)).save(root / "masks" / "cat" / "1.png")
    source = ["--data.images=SegmentationFolder", f"--data.images.root={root}"]
    (directory,) = recorded(options(tmp_path / "out", source, "--data.on_bad_image=skip"), capsys)
    assert activations(directory).shape[0] == 1
    assert "left out: mask 'masks/cat/1.png' has mode RGB" in caplog.text
    assert "left out: the mask of picture 'cat/2.png' is 9 x 9 pixels" in caplog.text


@pytest.mark.parametrize("name", ["list.txt", "p/classes.txt"])
@pytest.mark.parametrize("kind", ["FIFO", "device", "loop", "dangling link"])
def test_the_files_that_sources_read_are_regular_ones(name: str, kind: str, tmp_path: Path, capsys: Capture) -> None:
    make, said = ODD[kind]
    root = write_pictures(tmp_path / "p" / "images", 3).parent
    write_pictures(root / "masks", 3)
    make(tmp_path / name)
    source = ["--data.images=ImageList", f"--data.images.file={tmp_path / name}"]
    if "classes" in name:
        source = ["--data.images=SegmentationFolder", f"--data.images.root={root}"]
    refused(options(tmp_path / "out", source), capsys, f"{name}: {said}", tmp_path / "out")


def test_a_list_with_a_name_that_no_file_has(tmp_path: Path, capsys: Capture) -> None:
    source = listed(tmp_path, ["a\0b.png"])
    refused(options(tmp_path / "out", source), capsys, "line 1: .*is no name of a file", tmp_path / "out")


def test_a_picture_starts_no_program(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = put_first_in_path(tmp_path, monkeypatch)
    root = write_pictures(tmp_path / "p", 3)
    (root / "cat" / "x.jpg").write_bytes(eps())
    said = "picture 'cat/x.jpg' cannot be decoded .no known picture format; .*taken are JPEG, PNG, .*; replace it"
    refused(options(tmp_path / "out", folder(root)), capsys, said, tmp_path / "out")
    masks = root.rename(tmp_path / "images").parent
    write_pictures(masks / "masks", 2)
    (masks / "images" / "cat" / "x.jpg").unlink()
    for number in range(3):
        (masks / "masks" / "cat" / f"{number}.png").write_bytes(eps())
    source = ["--data.images=SegmentationFolder", f"--data.images.root={masks}"]
    said = "mask 'masks/cat/0.png' cannot be decoded .no known picture format; .*taken are PNG; replace it"
    refused(options(tmp_path / "out", source), capsys, said, tmp_path / "out")
    assert not mark.exists()
