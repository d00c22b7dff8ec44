"""Progress of work that several threads share."""

import threading
from collections.abc import Callable
from typing import final

Progress = Callable[[int, int], None]
"""Hears the bytes done so far and in all."""


class StoppedError(Exception):
    """The work is not wanted any more."""


@final
class SharedProgress:
    """Adds up the bytes that several threads have done, and tells them to stop."""

    def __init__(self, total: int, show: Progress) -> None:
        self._total = total
        self._show = show
        self._done = 0
        self._stopped = False
        self._lock = threading.Lock()

    def add(self, n_bytes: int) -> None:
        """Count some bytes and show the sum.

        Raises:
            StoppedError: after `stop`.
        """
        with self._lock:
            if self._stopped:
                raise StoppedError
            self._done += n_bytes
            self._show(self._done, self._total)

    def stop(self) -> None:
        """Let every further `add` fail."""
        with self._lock:
            self._stopped = True
