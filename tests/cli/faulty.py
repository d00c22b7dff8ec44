"""Faults of a process at one of its calls to the operating system."""

import atexit
import errno
import os
import signal
import threading
from pathlib import Path
from typing import Any

CALLS = ("open", "write", "fsync", "rename", "unlink", "mkdir", "chmod")
ERRORS = {"EIO": ("write", "fsync", "rename"), "ENOSPC": ("write",)}


class Fault:
    """Stands in front of the calls that change files, counts them, and strikes at one of them.

    Args:
        kind: A signal, or an error of `ERRORS`.
        at: The number of the call, from 0; None for none.
    """

    def __init__(self, kind: str, at: int | None) -> None:
        self.kind = kind
        self.at = at
        self.n = 0
        self._lock = threading.Lock()
        for name in CALLS:
            setattr(os, name, self._watched(name, getattr(os, name)))

    def count_into(self, path: str) -> None:
        """Leave the number of calls in a file, at the end of the process."""
        atexit.register(lambda: Path(path).write_text(str(self.n)))

    def _watched(self, name: str, call: Any) -> Any:
        def watched(*args: Any, **kwargs: Any) -> Any:
            counts = name in ERRORS.get(self.kind, CALLS)
            if name == "open" and not (len(args) > 1 and args[1] & os.O_CREAT):
                counts = False
            with self._lock:
                strikes = counts and self.n == self.at
                self.n += counts
            if strikes:
                self._strike(name, call, args)
            return call(*args, **kwargs)

        return watched

    def _strike(self, name: str, call: Any, args: Any) -> None:
        if name == "write" and len(args[1]) > 1:
            call(args[0], args[1][: len(args[1]) // 2])  # half of it has got to the disk
        if self.kind in ERRORS:
            code = getattr(errno, self.kind)
            raise OSError(code, os.strerror(code))
        os.kill(os.getpid(), getattr(signal, self.kind))


def kill_at(name: str) -> None:
    """Let this process be killed when a file or directory of this name is put in its place."""
    for call in ("rename", "replace"):
        setattr(os, call, _killed_at(getattr(os, call), name))


def _killed_at(call: Any, name: str) -> Any:
    def watched(src: Any, dst: Any, **kwargs: Any) -> None:
        if Path(dst).name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        call(src, dst, **kwargs)

    return watched
