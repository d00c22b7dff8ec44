"""Small files, read and written with care: nothing but regular files of bounded size is read, no half one is left."""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from saev.byte_text import byte_text
from saev.errors import InputError

NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)
# A FIFO or a device must not make us wait; for `read` on regular files O_NONBLOCK changes nothing.
READ_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_CHUNK: Final = 2**24


class UnreadableFile(InputError):  # noqa: N818 - what cannot be read is the input
    """Raised for a file that is missing, too large, unreadable or no regular file."""


def read_regular(path: str | Path, max_bytes: int) -> bytes:
    """Read a regular file that a user or a file has named, also through a link.

    Args:
        path: The file.
        max_bytes: Upper bound of its size. A file that grows while it is read is refused, too.

    Raises:
        UnreadableFile: If the file is missing, unreadable, larger, or no regular file such as a FIFO or a device.
    """
    try:
        fd = os.open(path, READ_FLAGS)
    except OSError as error:
        other = error.errno == errno.ENXIO  # a socket
        raise UnreadableFile(f"{path}: {'is no regular file' if other else _unreadable(error)}") from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise UnreadableFile(f"{path}: is {kind}")
        if status.st_size > max_bytes:
            raise _too_large(path, status.st_size, max_bytes)
        # One byte more than fstat says: a file of /proc has size 0 and more bytes than anybody wants.
        data = bytearray()
        while part := os.read(fd, min(_CHUNK, max_bytes + 1 - len(data))):
            data += part
            if len(data) > max_bytes:
                raise _too_large(path, len(data), max_bytes)
        return bytes(data)
    except OSError as error:
        raise UnreadableFile(f"{path}: {_unreadable(error)}") from error
    finally:
        os.close(fd)


def _unreadable(error: OSError) -> str:
    return "is missing" if error.errno == errno.ENOENT else f"cannot be read ({error.strerror})"


def _too_large(path: str | Path, n_bytes: int, max_bytes: int) -> UnreadableFile:
    return UnreadableFile(f"{path}: has {n_bytes} bytes or more, at most {max_bytes} are read")


@contextmanager
def replacing(path: Path, n_bytes: int | None = None) -> Iterator[Path]:
    """Replace a file in one step: after a kill or a loss of power it is the old one or the new one, whole.

    The block writes another file, whose name it gets. At the end of the block that file is brought to the disk and
    renamed. If the block or the disk fails, it is removed and the old file stays. The directory is made if need be.

    Args:
        path: The file.
        n_bytes: Its size, where it is known before, for the message.

    Raises:
        InputError: If the disk does not take it, with the path, and where space is short the bytes needed and free.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        bring_to_disk(partial)
        partial.replace(path)
        bring_to_disk(path.parent)
    except OSError as error:
        raise InputError(unwritable(path, error, n_bytes)) from error
    finally:
        # Without raising: the fault that led here matters more.
        if os.path.lexists(partial):
            _remove(partial)


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        return


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


def unwritable(path: Path, error: OSError, n_bytes: int | None = None) -> str:
    """One line for a file that the disk does not take, with what can be done about it.

    Args:
        path: The file.
        error: What the system said.
        n_bytes: Bytes that the file needs, where they are known.
    """
    said = f"{path} cannot be written ({error.strerror or error})"
    if error.errno == errno.EFBIG:
        return f"{said}: raise the limit on file sizes (ulimit -f)"
    if error.errno not in NO_SPACE:
        return f"{said}: check the disk and its permissions"
    need = "" if n_bytes is None else f"{byte_text(n_bytes)} ({n_bytes} bytes) are needed, "
    free = free_bytes(path.parent)
    if error.errno == errno.EDQUOT:
        advice = "raise the quota"
    elif not _has_free_names(path):
        advice = "no more files fit (inodes): remove some, or write elsewhere"
    else:
        advice = "make room or write elsewhere"
    return f"{said}: {need}{byte_text(free)} ({free} bytes) are free: {advice}"


def free_bytes(directory: Path) -> int:
    """Bytes that are free where a directory lies, or would lie if it were made."""
    return shutil.disk_usage(_existing(directory)).free


def _has_free_names(path: Path) -> bool:
    found = os.statvfs(_existing(path.parent))
    return found.f_files == 0 or found.f_favail > 0


def _existing(directory: Path) -> Path:
    return next(path for path in (directory, *directory.absolute().parents) if path.exists())
