"""Small files, read and written with care: nothing but regular files of bounded size is read, no half one is left."""

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from saev.byte_text import byte_text
from saev.errors import InputError, WrongArgument, reason

NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
_OF_BYTES: Final = (*NO_SPACE, errno.EFBIG, errno.EIO)
"""Errors for which the bytes needed and free say something."""
# A FIFO or a device must not make us wait; for `read` on regular files O_NONBLOCK changes nothing.
READ_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CHUNK: Final = 2**16


EMPTY: Final = "an empty name is no path: give a directory or file"


def given_path(text: str | Path, option: str = "") -> Path:
    """A path that a user gave.

    Args:
        option: Names it, where whoever asks does not.

    Raises:
        InputError: If it is empty, as where a variable of the shell is not set: Path("") is the working directory.
    """
    if not str(text).strip():
        raise WrongArgument(option, f"{str(text)!r}: {EMPTY}") if option else InputError(EMPTY)
    return Path(text)


class UnreadableFile(InputError):  # noqa: N818 - what cannot be read is the input
    """Raised for a file that is missing, too large, unreadable or no regular file."""


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """Read a regular file that a user or a file has named, also through a link.

    Args:
        max_bytes: Upper bound of its size. A file that grows while it is read is refused, too.

    Raises:
        UnreadableFile: If the file is missing, unreadable, larger, or no regular file such as a FIFO or a device.
    """
    try:
        fd = os.open(path, READ_FLAGS)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path}: {unreadable(error)}") from error
    try:
        status = os.fstat(fd)
        if fault := irregular(status, max_bytes):
            raise UnreadableFile(f"{path}: {fault}")
        return _read(fd, path, status.st_size, max_bytes)
    except OSError as error:
        raise UnreadableFile(f"{path}: {unreadable(error)}") from error
    finally:
        os.close(fd)


def read_regular_text(path: str | Path, max_bytes: int) -> str:
    """Read a text file as `read_regular` does; a byte order mark is passed over.

    Raises:
        UnreadableFile: Also if it is not UTF-8.
    """
    try:
        return read_regular(path, max_bytes).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{path}: is no text in UTF-8 (byte {error.start})") from error


def check_regular(path: str | Path, max_bytes: int) -> None:
    """Raise what `read_regular` would, for a file that another library reads; it is not opened.

    Raises:
        UnreadableFile: If the file is missing, larger, or no regular file.
    """
    try:
        fault = irregular(os.stat(path), max_bytes)  # noqa: PTH116 - as `os.open` above
    except (OSError, ValueError) as error:
        fault = unreadable(error)
    if fault:
        raise UnreadableFile(f"{path}: {fault}")


def irregular(status: os.stat_result, max_bytes: int) -> str | None:
    """Why a file of this kind and size is not read, to stand behind its path; None if it is."""
    if not stat.S_ISREG(status.st_mode):
        return "is a directory" if stat.S_ISDIR(status.st_mode) else "is no regular file"
    return None if status.st_size <= max_bytes else _too_large(status.st_size, max_bytes)


def unreadable(error: OSError | ValueError) -> str:
    """Why a file cannot be read, to stand behind its path: what the system said, or a name that cannot be one."""
    if not isinstance(error, OSError):
        return "is no name of a file"
    if error.errno == errno.ENXIO:  # a socket
        return "is no regular file"
    return "is missing" if error.errno == errno.ENOENT else f"cannot be read ({reason(error)})"


def _read(fd: int, path: str | Path, n_bytes: int, max_bytes: int) -> bytes:
    """All of a file, also where it is longer than was said: a file of /proc has size 0 and more bytes than that."""
    parts, n = [], 0
    # One byte more than is expected, so that most files take one read and an empty one.
    while part := os.read(fd, n_bytes - n + 1 if n <= n_bytes else _CHUNK):
        parts.append(part)
        n += len(part)
        if n > max_bytes:
            raise UnreadableFile(f"{path}: {_too_large(n, max_bytes)}")
    return b"".join(parts)


def _too_large(n_bytes: int, max_bytes: int) -> str:
    return f"has {n_bytes} bytes or more, at most {max_bytes} are read"


@contextmanager
def replacing(path: Path, n_bytes: int | None = None) -> Iterator[Path]:
    """Replace a file in one step: after a kill or a loss of power it is the old one or the new one, whole.

    The block writes another file, whose name it gets. At the end of the block that file is brought to the disk and
    renamed. If the block or the disk fails, it is removed and the old file stays. The directory is made if need be.

    Args:
        n_bytes: Its size, where it is known before, for the message.

    Raises:
        InputError: If the disk does not take it, with the path, and where space is short the bytes needed and free; or
            if a directory, a device or the like is in its place.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is there already and no regular file: name another one")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        bring_to_disk(partial)
        partial.replace(path)
        bring_to_disk(path.parent)
    except OSError as error:
        _remove(partial)  # before the free space is reported
        raise InputError(unwritable(path, error, n_bytes)) from error
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    # Without raising: the fault that led here matters more.
    with contextlib.suppress(OSError):
        path.unlink()


def bring_to_disk(path: Path) -> None:
    """Make a file's bytes, or the names in a directory, survive a loss of power.

    Raises:
        OSError: If the disk does not take them.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems whose directories cannot be brought to the disk
            raise
    finally:
        os.close(fd)


def write_whole(path: Path, data: bytes) -> None:
    """Write a small file in one step, as `replacing` does.

    Raises:
        InputError: If the disk does not take it.
    """
    with replacing(path, len(data)) as partial:
        partial.write_bytes(data)


@contextmanager
def new_directory(out: Path, seen: AbstractContextManager[object] | None = None) -> Iterator[Path]:
    """Make a directory in one step: after a kill or a loss of power it is there whole or not at all.

    The block fills another directory, whose name it gets. At the end of the block all in it is brought to the disk, and
    it is renamed. If the block or the disk fails, nothing is left.

    Args:
        out: The directory, which is not there yet.
        seen: Is entered when all is written and nothing can be seen yet, and left when all can be seen.

    Raises:
        InputError: If something is there already, or the disk does not take it.
    """
    if out.exists():
        raise InputError(f"{out} is there already, and is not overwritten: name another directory")
    partial = out.with_name(f".{out.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        partial.mkdir(parents=True)
        yield partial
        for path in (partial, *partial.rglob("*")):
            if not path.is_symlink():
                bring_to_disk(path)
        with seen or contextlib.nullcontext():
            partial.rename(out)
        bring_to_disk(out.absolute().parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)  # before the free space is reported
        raise InputError(unwritable(out, error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def check_writable(directory: Path) -> None:
    """Check whether files can be made in a directory, or the directory itself, before anything long begins.

    Nothing is left behind.

    Raises:
        InputError: If not, with what the system says.
    """
    place = directory
    try:
        if directory.exists() and not directory.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "a file is there")
        place = _existing(directory)
        with tempfile.TemporaryFile(dir=place):
            return
    except OSError as error:
        raise InputError(unwritable(directory, error)) from error


def unwritable(path: Path, error: OSError, n_bytes: int | None = None) -> str:
    """One line for a file that the disk does not take, with what can be done about it.

    Args:
        error: What the system said.
        n_bytes: Bytes that the file needs, where they are known.
    """
    if error.errno in (errno.EEXIST, errno.ENOTDIR) and (file := _file_in(path)) is not None:
        return f"{path} cannot be written: {'it' if file == path else file} is a file: give a directory"
    said = f"{path} cannot be written ({reason(error)})"
    if error.errno not in _OF_BYTES:
        return f"{said}: check the disk and its permissions"
    need = "" if n_bytes is None else f"{byte_text(n_bytes)} ({n_bytes} bytes) or more are needed, "
    free = free_bytes(path.parent)
    return f"{said}: {need}{byte_text(free)} ({free} bytes) are free: {_advice(path, error)}"


def _file_in(path: Path) -> Path | None:
    """The file that stands in a path where a directory is needed."""
    return next((part for part in (path, *path.parents) if part.is_file()), None)


def _advice(path: Path, error: OSError) -> str:
    if error.errno == errno.EFBIG:
        return "raise the limit on file sizes (ulimit -f)"
    if error.errno == errno.EDQUOT:
        return "raise the quota"
    if error.errno == errno.EIO:
        return "check the disk"
    if not _has_free_names(path):
        return "no more files fit (inodes): remove some, or write elsewhere"
    return "make room or write elsewhere"


def free_bytes(directory: Path) -> int:
    """Bytes that are free where a directory lies, or would lie if it were made."""
    return shutil.disk_usage(_existing(directory)).free


def _has_free_names(path: Path) -> bool:
    found = os.statvfs(_existing(path.parent))
    return found.f_files == 0 or found.f_favail > 0


def _existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.absolute().parents) if path.exists())
