"""Handlers of signals, and the processes that this one has started. `saev.cli.ending` is how commands end."""

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], object]

companions: Final[list[subprocess.Popen[bytes]]] = []
"""Processes that this one has started and that must not outlive it."""


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


def ending(status: int) -> str:
    """How a process has ended, by its exit status: what to say behind its name."""
    number = -status if status < 0 else status - 128  # a shell's way to tell of a signal
    if number not in set(signal.Signals):
        return "has failed: what it said stands above"
    hint = " (is memory short?)" if number == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(number).name}{hint}"
