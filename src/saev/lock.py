"""Keeps two runs from writing to the same place at the same time."""

import fcntl
import os
from pathlib import Path
from typing import Final, final

from saev.errors import InputError

LOCK_SUFFIX: Final = ".lock"


@final
class FileLock:
    """A lock on a file that exists while it is held; a killed process gives it up by itself.

    One process takes the lock alone, prepares the place and shares it with the other processes of its run; a
    second run gets it only when all of them have ended.

    Args:
        refusal: What is said where another run holds the lock.
    """

    def __init__(self, path: Path, refusal: str) -> None:
        self._path = path
        self._refusal = refusal
        self._fd: int | None = None
        # A data worker that outlives a killed run for a moment must not keep the next run out.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def claim(self) -> None:
        """Take the lock alone.

        Raises:
            InputError: if another run holds it.
            OSError: if the file cannot be made.
        """
        self._take(fcntl.LOCK_EX)

    def join(self) -> None:
        """Take a share of the lock that another process of this run has claimed and shared.

        Raises:
            InputError: if another run has claimed it since.
        """
        self._take(fcntl.LOCK_SH)

    def share(self) -> None:
        """Let others join."""
        assert self._fd is not None
        if not self._lock(self._fd, fcntl.LOCK_SH):
            raise InputError(self._refusal)

    def _take(self, kind: int) -> None:
        assert self._fd is None, "it is held already"
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not self._lock(fd, kind):
                os.close(fd)
                raise InputError(self._refusal)
            if self._is_current(fd):
                self._fd = fd
                return
            os.close(fd)  # the holder before us removed the file that we had opened

    def _lock(self, fd: int, kind: int) -> bool:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def is_alone(self) -> bool:
        """Whether no other process has a share; none can join any more. If one has, this one loses its own."""
        return self._fd is not None and self._lock(self._fd, fcntl.LOCK_EX)

    def release(self) -> None:
        """Give up the lock, and remove the file if nobody else has a share; again does nothing."""
        if self._fd is not None:
            if self.is_alone() and self._is_current(self._fd):
                self._path.unlink(missing_ok=True)
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # at once, even if a forked worker still has the file open
            os.close(self._fd)
            self._fd = None


def is_locked(path: Path) -> bool:
    """Whether a run holds the lock of a file, or may hold it; removes a file that a killed run left."""
    lock = FileLock(path, f"{path}: is locked")
    if not path.exists():
        return False
    try:
        lock.claim()
    except (InputError, OSError):
        return True
    lock.release()
    return False
