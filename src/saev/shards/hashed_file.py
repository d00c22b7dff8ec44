"""Files that are reserved before they are written, and hashed while they are written."""

import errno
import os
from pathlib import Path
from typing import Final, final

from saev.shards.hashing import FileHasher, FileRecord

_PADDING: Final = memoryview(bytes(2**20))


def reserve(path: Path, n_bytes: int) -> None:
    """Create a new file whose `n_bytes` are set aside on disk, so that writing it cannot run out of space.

    Raises:
        OSError: if the bytes are not there (ENOSPC, EDQUOT, EFBIG), or the file is.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.posix_fallocate(fd, 0, n_bytes)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:  # file systems that cannot reserve: writing will tell
            raise
    finally:
        os.close(fd)


def fsync_directory(path: Path) -> None:
    """Make the names in a directory survive a loss of power."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@final
class HashedFile:
    """Writes a file from its beginning to its end; reserved or new."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        self._hasher = FileHasher()

    @property
    def n_bytes(self) -> int:
        """Bytes written so far."""
        return self._hasher.n_bytes

    def write(self, data: memoryview) -> None:
        """Write the next bytes (a view of format 'B').

        Raises:
            OSError: if the disk does not take them.
        """
        rest = data
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._hasher.update(data)

    def pad(self, n_bytes: int) -> None:
        """Write zeros until the file has `n_bytes`."""
        while missing := n_bytes - self.n_bytes:
            self.write(_PADDING[:missing])

    def finish(self) -> FileRecord:
        """Bring the file to the disk and close it."""
        os.fsync(self._fd)
        self.close()
        return self._hasher.record()

    def close(self) -> None:
        """Close the file as it is; again does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
