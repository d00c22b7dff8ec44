"""Only regular files that lie in the directory itself are opened, and nothing hangs."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from saev.errors import InputError
from saev.shards.format.files import fault_text, opened, read_into, read_whole, size_of

Use = Callable[[Path, str], object]


def open_it(directory: Path, name: str) -> None:
    with opened(directory, name):
        pass


def read_it(directory: Path, name: str) -> None:
    read_whole(directory, name, memoryview(bytearray(1)))


USES = [open_it, read_it, size_of]


def link(path: Path) -> None:
    path.symlink_to(path.parent / "file")


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (link, "is a link: nothing outside the directory is read"),
        (dangling_link, "is a link"),
        (os.mkfifo, "is no regular file"),
        (listen, "is no regular file"),
        (Path.mkdir, "is no regular file"),
        (lambda path: None, "is missing"),
    ],
)
def test_what_is_no_regular_file_is_said_in_one_line(
    use: Use, make: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"data")
    make(tmp_path / "x")
    with pytest.raises(InputError, match=said) as error:
        use(tmp_path, "x")
    assert str(error.value).startswith(f"{tmp_path / 'x'}: is ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["", ".", "..", "../file", "inner/file", "/etc/hostname", "a\0b"])
def test_names_with_a_path_are_refused(use: Use, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_bytes(b"data")
    with pytest.raises(InputError, match="is no plain file name: nothing outside the directory is read"):
        use(tmp_path / "inner", name)


def test_device_files_are_refused() -> None:
    with pytest.raises(InputError, match="zero: is no regular file"):
        read_it(Path("/dev"), "zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_forbidden_file_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"data")
    (tmp_path / "x").chmod(0)
    with pytest.raises(InputError, match=r"cannot be read \(no permission\)"):
        read_it(tmp_path, "x")


def test_other_faults_are_said_in_the_systems_words() -> None:
    assert fault_text(OSError(5, "Input/output error")) == "cannot be read (Input/output error)"


def test_a_directory_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"data")
    (tmp_path / "link").symlink_to("real")
    assert size_of(tmp_path / "link", "x") == 4


def test_bytes_are_read_from_their_place_up_to_the_end(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    data = bytearray(8)
    with opened(tmp_path, "x") as fd:
        assert not os.get_inheritable(fd)
        assert read_into(fd, memoryview(data), 1) == 8
        assert bytes(data) == b"12345678"
        assert read_into(fd, memoryview(data), 7) == 3
    assert bytes(data[:3]) == b"789"
    with pytest.raises(InputError, match="x: truncated: 10 bytes instead of 11"):
        read_whole(tmp_path, "x", memoryview(bytearray(11)))
