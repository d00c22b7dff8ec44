"""Small files: only regular ones of bounded size are read, and what is written is whole or not there."""

import errno
import os
import re
import socket
from pathlib import Path

import pytest

from saev.errors import InputError
from saev.files import check_writable, read_regular, replacing, unwritable, write_whole


def test_a_file_is_read_through_a_link_and_up_to_its_bound(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"12345")
    link.symlink_to(file)
    assert read_regular(link, 5) == b"12345"
    with pytest.raises(InputError, match="has 5 bytes or more, at most 4 are read"):
        read_regular(file, 4)


def test_nothing_but_regular_files_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    said = {
        "fifo": "is no regular file",
        "zero": "is no regular file",
        "socket": "is no regular file",
        "dangling": "is missing",
        "loop": "cannot be read",
        ".": "is a directory",
    }
    for name, text in said.items():
        with pytest.raises(InputError, match=text):
            read_regular(tmp_path / name, 100)


def test_a_file_of_unknown_size_is_bounded_too() -> None:
    assert read_regular("/proc/self/status", 100_000)
    with pytest.raises(InputError, match="at most 10 are read"):
        read_regular("/proc/self/status", 10)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, b"old")
    with pytest.raises(RuntimeError), replacing(path) as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [one.name for one in path.parent.iterdir()] == ["file"]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(InputError, match="is there already and no regular file"):
            write_whole(path, b"")


def test_asking_whether_a_directory_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check_writable(tmp_path / "new" / "directory")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(InputError, match=f"{path} cannot be written"):
            check_writable(path)


def test_what_the_disk_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"below cannot be written: .*/file is a file: give a directory"):
        write_whole(tmp_path / "file" / "below", b"")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, r"are needed, .* are free: make room"),
        (errno.EDQUOT, r"are needed, .* are free: raise the quota"),
        (errno.EFBIG, r"are needed, .* are free: raise the limit on file sizes"),
        (errno.EIO, r"are needed, .* are free: check the disk$"),
        (errno.EACCES, r"denied\): check the disk and its permissions$"),
    ],
)
def test_the_advice_fits_the_fault(tmp_path: Path, code: int, advice: str) -> None:
    text = unwritable(tmp_path / "a" / "file", OSError(code, os.strerror(code)), 2**62)
    assert os.strerror(code) in text
    assert re.search(advice, text), text


def test_an_error_without_a_text_is_named(tmp_path: Path) -> None:
    assert "(TimeoutError)" in unwritable(tmp_path / "file", TimeoutError())
