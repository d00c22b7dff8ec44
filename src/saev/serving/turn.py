"""One thing is computed at a time, for those who still want it, and nothing any more when the server ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from typing import final

Wanted = Callable[[], bool]
"""Whether somebody still waits for what is computed."""


def always() -> bool:
    """Whoever asks stays."""
    return True


class Ended(ConnectionAbortedError):  # noqa: N818 - an end, no fault
    """The server ends."""


class Left(ConnectionAbortedError):  # noqa: N818 - as `Ended`
    """Whoever asked has gone away, or asks for something else."""


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

    @contextmanager
    def of(self, is_wanted: Wanted) -> Iterator[None]:
        """The turn of somebody who may go away while they wait for it.

        Raises:
            Ended: As `__enter__`.
            Left: If they have.
        """
        with self:
            self.check(is_wanted)
            yield

    def check(self, is_wanted: Wanted) -> None:
        """Whether to go on with what takes longer, in one's turn.

        Raises:
            Ended: If `end` was called meanwhile.
            Left: If nobody waits for it any more.
        """
        if self._ended.is_set():
            raise Ended("the server ends")
        if not is_wanted():
            raise Left("nobody waits for it any more")

    def end(self, timeout: float) -> None:
        """Let nobody in any more, and wait for who is in, for so many seconds at most."""
        self._ended.set()
        if self._lock.acquire(timeout=timeout):
            self._lock.release()
