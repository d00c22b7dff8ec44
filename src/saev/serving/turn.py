"""One thing is computed at a time, and nothing any more when the server ends."""

from threading import Event, Lock
from typing import final


class Ended(ConnectionAbortedError):  # noqa: N818 - an end, no fault
    """The server ends."""


@final
class Turn:
    """A lock that nobody gets after `end`: torch must not be torn down under those who wait for it."""

    def __init__(self) -> None:
        self._lock, self._ended = Lock(), Event()

    def __enter__(self) -> None:
        """Wait for one's turn.

        Raises:
            Ended: If there are no more.
        """
        self._lock.acquire()
        if self._ended.is_set():
            self._lock.release()
            raise Ended("the server ends")

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def end(self, timeout: float) -> None:
        """Let nobody in any more, and wait for who is in, for so many seconds at most."""
        self._ended.set()
        if self._lock.acquire(timeout=timeout):
            self._lock.release()
