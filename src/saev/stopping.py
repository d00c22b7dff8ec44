"""What SIGINT and SIGTERM do: the first one unwinds the stack, a second one ends the process at once."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Final, final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_WORDS: Final = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
Handler = Callable[[int, FrameType | None], object]


@final
class Stopped(SystemExit):
    """A signal has come. Not a KeyboardInterrupt: Lightning would ignore further signals while it cleans up.

    Args:
        signum: SIGINT or SIGTERM.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)
        self.word = _WORDS[signal.Signals(signum)]
        self.advice: str | None = None
        """How to go on, where there is anything to say."""
        self.is_silent = False
        """Whether another process says it."""

    def __str__(self) -> str:
        return self.word if self.advice is None else f"{self.word}: {self.advice}"


companions: Final[list[subprocess.Popen[bytes]]] = []
"""Processes that this one has started and that must not outlive it."""


def unwind(signum: int, _frame: FrameType | None) -> None:
    """A handler of signals.

    Raises:
        Stopped: Always.
    """
    # Data workers that the same signal ended must not break into the unwinding: torch raises an error from the
    # handler of SIGCHLD.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    raise Stopped(signum)


def stop(signum: int, frame: FrameType | None) -> None:
    """A handler of a first signal, after which a second one ends the process at once.

    Raises:
        Stopped: Always.
    """
    handle(dict.fromkeys(SIGNALS, end_at_once))
    unwind(signum, frame)


def end_at_once(signum: int, _frame: FrameType | None) -> None:
    """The handler of a second signal: nothing is cleaned up, no traceback."""
    end_companions()
    os._exit(128 + signum)


def end_companions() -> None:
    """Kill the processes that this one has started."""
    for process in companions:
        process.kill()
    companions.clear()


def handle(handlers: Mapping[signal.Signals, "Handler | signal.Handlers | int | None"]) -> None:
    """Install handlers of signals. Other threads than the first one cannot, and leave it."""
    if threading.current_thread() is threading.main_thread():
        for signum, handler in handlers.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Raise `Stopped` at the first signal within the block, and end at the second."""
    earlier = {signum: signal.getsignal(signum) for signum in SIGNALS}
    handle(dict.fromkeys(SIGNALS, stop))
    try:
        yield
    finally:
        handle(earlier)
