"""Keeps two runs from recording the same thing into the same place."""

import fcntl
import os
from pathlib import Path
from typing import final

from saev.errors import InputError


@final
class RecordingLock:
    """An exclusive lock on a file that exists while it is held; a killed process gives it up by itself.

    Raises:
        InputError: if another run holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        fd = self._lock()
        while not self._is_current(fd):  # the holder before us removed the file that we had opened
            os.close(fd)
            fd = self._lock()
        self._fd: int | None = fd
        # A data worker that outlives a killed run for a moment must not keep the next run out.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _lock(self) -> int:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise InputError(
                f"{self._path}: another run is recording the same thing: wait for it or stop it"
            ) from error
        return fd

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Remove the file and give up the lock; again does nothing."""
        if self._fd is not None:
            self._path.unlink(missing_ok=True)
            fcntl.flock(self._fd, fcntl.LOCK_UN)  # at once, even if a forked worker still has the file open
            os.close(self._fd)
            self._fd = None
