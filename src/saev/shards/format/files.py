"""Files of a directory of shards, opened as untrusted: by plain name, no link followed, nothing but regular files."""

import errno
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, final

from saev.errors import InputError, reason
from saev.files import READ_FLAGS

_FLAGS: Final = READ_FLAGS | os.O_NOFOLLOW
_LINK: Final = "is a link: nothing outside the directory is read"
_OTHER: Final = "is no regular file"
_FAULTS: Final = {
    errno.ENOENT: "is missing",
    errno.ELOOP: _LINK,
    errno.ENXIO: _OTHER,  # a socket
    errno.EACCES: "cannot be read (no permission): ask its owner or change its mode",
}


def fault_text(error: OSError) -> str:
    """What the system's error says of a file, to stand behind its path."""
    return _FAULTS.get(error.errno or 0, f"cannot be read ({reason(error)})")


def _regular_size(path: Path, status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: {_LINK if stat.S_ISLNK(status.st_mode) else _OTHER}")
    return status.st_size


def _inside(directory: Path, name: str) -> Path:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise InputError(f"{directory}: {name!r} is no plain file name: nothing outside the directory is read")
    return directory / name


def open_file(directory: Path, name: str) -> int:
    """A file descriptor to read a regular file of a directory, which the caller closes.

    Raises:
        InputError: If the name is not plain, or the file is missing, a link, no regular file, or not ours to read.
    """
    path = _inside(directory, name)
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        raise InputError(f"{path}: {fault_text(error)}") from error
    try:
        _regular_size(path, os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


@contextmanager
def opened(directory: Path, name: str) -> Iterator[int]:
    """A file descriptor to read a regular file of a directory, closed at the end.

    Raises:
        InputError: As `open_file`.
    """
    fd = open_file(directory, name)
    try:
        yield fd
    finally:
        os.close(fd)


def size_of(directory: Path, name: str) -> int:
    """Bytes of a regular file of a directory; it is looked at without being opened.

    Raises:
        InputError: If the name is not plain, or the file is missing, a link or no regular file.
    """
    path = _inside(directory, name)
    try:
        return _regular_size(path, path.lstat())
    except OSError as error:
        raise InputError(f"{path}: {fault_text(error)}") from error


def names_in(directory: Path, advice: str) -> list[str]:
    """Names of what lies in a directory that the user has named.

    Args:
        advice: What to give instead.

    Raises:
        InputError: If it is missing, a file, or not ours to read.
    """
    try:
        return [path.name for path in directory.iterdir()]
    except (FileNotFoundError, NotADirectoryError) as error:
        fault = "is a file" if directory.exists() else "no such directory"
        raise InputError(f"{directory}: {fault}: {advice}") from error
    except OSError as error:
        raise InputError(f"{directory}: {fault_text(error)}") from error


def allocated_bytes(directory: Path) -> int:
    """Disk space of the files in a directory; of nothing where there is none. Files may come and go meanwhile."""
    n_bytes = 0
    try:
        for path in directory.iterdir():
            with suppress(FileNotFoundError):
                n_bytes += path.lstat().st_blocks * 512
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return n_bytes


def read_into(fd: int, target: memoryview, offset: int) -> int:
    """Fill memory (a view of format 'B') with the bytes of a file from `offset` on.

    Returns:
        The bytes read: fewer than there is room for where the file ends.

    Raises:
        OSError: If they cannot be read.
    """
    n = 0
    while n < len(target) and (got := os.preadv(fd, [target[n:]], offset + n)):
        n += got
    return n


def read_whole(directory: Path, name: str, target: memoryview) -> None:
    """Fill memory (a view of format 'B') with the first bytes of a file.

    Raises:
        InputError: As `open_file`, and if the file is shorter or the disk fails.
    """
    path = directory / name
    with opened(directory, name) as fd:
        try:
            found = read_into(fd, target, 0)
        except OSError as error:
            raise InputError(f"{path}: {fault_text(error)}") from error
    if found < len(target):
        raise InputError(f"{path}: truncated: {found} bytes instead of {len(target)}: copy it again or record it again")


@final
class OpenFile:
    """A file opened for reads at any place; it is closed with the last reference to this object.

    So it is never closed while another thread reads from it.

    Raises:
        InputError: As `open_file`.
    """

    __slots__ = ("fd",)

    def __init__(self, directory: Path, name: str) -> None:
        self.fd = -1
        self.fd = open_file(directory, name)
        # Else io_uring may give up (EAGAIN) where it would have to wait for the disk.
        os.set_blocking(self.fd, True)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        # Bound as a default: when the interpreter ends, `os` may be gone before the last file.
        if self.fd >= 0:
            close(self.fd)


@final
class OpenFiles:
    """Files of a directory by number, opened when they are asked for; safe for several threads at once.

    They are closed with the last reference to this object.

    Args:
        directory: Where they lie.
        name_of: The name of the file of a number.
        limit: How many stay open; what the threads are reading comes on top.
    """

    def __init__(self, directory: Path, name_of: Callable[[int], str], limit: int) -> None:
        self._directory = directory
        self._name_of = name_of
        self._limit = limit
        self._files: OrderedDict[int, OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, number: int) -> OpenFile:
        """A file, which stays open at least as long as the caller keeps what is returned.

        Raises:
            InputError: If it cannot be opened.
        """
        with self._lock:
            if (file := self._files.get(number)) is not None:
                self._files.move_to_end(number)
                return file
        # Outside the lock: to open may take long, on a network above all.
        return self._keep(number, OpenFile(self._directory, self._name_of(number)))

    def _keep(self, number: int, file: OpenFile) -> OpenFile:
        with suppress(OSError):
            # Reads are short and lie anywhere: what follows them would be read for nothing.
            os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_RANDOM)
        with self._lock:
            file = self._files.setdefault(number, file)  # another thread's, if it was faster
            self._files.move_to_end(number)
            if len(self._files) > self._limit:
                self._files.popitem(last=False)
        return file
