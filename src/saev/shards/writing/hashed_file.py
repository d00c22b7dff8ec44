"""Files that are reserved before they are written, hashed while they are written, and brought to the disk."""

import ctypes
import errno
import os
from concurrent.futures import Executor
from contextlib import closing
from pathlib import Path
from typing import Final, final

from saev.shards.format.hashing import FileHasher, FileRecord

_PADDING: Final = memoryview(bytes(2**20))
_CANNOT_RESERVE: Final = (errno.EOPNOTSUPP, errno.ENOSYS)


def reserve(path: Path, n_bytes: int) -> None:
    """Create a new file whose `n_bytes` are set aside on disk, so that writing it cannot run out of space.

    Where the file system cannot do that, the file stays empty, and writing it may run out of space.

    Raises:
        OSError: If the bytes are not there (ENOSPC, EDQUOT, EFBIG), or the file is.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        _allocate(fd, n_bytes)
    finally:
        os.close(fd)


def _allocate(fd: int, n_bytes: int) -> None:
    # Not os.posix_fallocate: where the file system cannot reserve, it writes to every page of the file instead.
    library = ctypes.CDLL(None, use_errno=True)
    fallocate = getattr(library, "fallocate64", None) or getattr(library, "fallocate", None)
    while fallocate and fallocate(fd, 0, ctypes.c_int64(0), ctypes.c_int64(n_bytes)) != 0:
        code = ctypes.get_errno()
        if code in _CANNOT_RESERVE:
            return
        if code != errno.EINTR:
            raise OSError(code, os.strerror(code))


@final
class HashedFile:
    """Writes a file from its beginning to its end; reserved or new.

    Args:
        pool: Where the hashes are computed while the bytes are written; by default they come after.
    """

    def __init__(self, path: Path, pool: Executor | None = None) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._hasher = FileHasher()
        self._pool = pool

    def write(self, data: memoryview) -> None:
        """Write the next bytes (a view of format 'B').

        Raises:
            OSError: If the disk does not take them.
        """
        hashed = self._pool.submit(self._hasher.update, data) if self._pool else None
        rest = data
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        if hashed:
            hashed.result()
        else:
            self._hasher.update(data)

    def pad(self, n_bytes: int) -> None:
        """Write zeros until the file has `n_bytes`."""
        while missing := n_bytes - self._hasher.n_bytes:
            self.write(_PADDING[:missing])

    def finish(self) -> FileRecord:
        """Bring the file to the disk and close it.

        Raises:
            OSError: If the disk does not take it, or another hand has put another file there.
        """
        os.fsync(self._fd)
        if not os.path.samestat(os.fstat(self._fd), self._path.stat()):
            raise OSError(errno.ESTALE, "replaced while it was written", str(self._path))
        self.close()
        return self._hasher.record()

    def close(self) -> None:
        """Close the file as it is; again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_file(path: Path, data: bytes) -> FileRecord:
    """Write a small file under its name at once, whole and on the disk; its directory is not brought there.

    Raises:
        OSError: If the disk does not take it.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with closing(HashedFile(new)) as file:
        file.write(memoryview(data))
        record = file.finish()
    new.rename(path)
    return record
