"""What ends a process whose main thread waits for others in torch, where Python cannot run."""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from lightning.pytorch.strategies import DDPStrategy

from saev.cli.ending import end_now
from saev.errors import InputError
from saev.stopping import SIGNALS, handle

log = logging.getLogger(__name__)
MINUTES_TO_MEET: Final = 10


@contextmanager
def watched(command: str, check: Callable[[], None], patience: float, minutes: float = math.inf) -> Iterator[None]:
    """End this process, and those that it has started, for a reason that the block does not find out by itself.

    Args:
        check: Raises InputError for a reason to end, such as another process that has ended.
        patience: Seconds that the block has to find out by itself.
        minutes: After these the block has taken too long.
    """
    done = threading.Event()
    threading.Thread(target=_watch, args=(command, check, patience, minutes, done), daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _watch(command: str, check: Callable[[], None], patience: float, minutes: float, done: threading.Event) -> None:
    deadline = time.monotonic() + 60 * minutes
    while not done.wait(0.2):
        try:
            check()
            if time.monotonic() > deadline:
                raise InputError(
                    f"not all processes have come within {minutes} minutes: start the same command on every "
                    "machine, and see that the first one can be reached there (MASTER_ADDR, MASTER_PORT)"
                )
        except InputError as error:
            if done.wait(patience):
                return
            end_now(command, error)


@contextmanager
def first_meeting(command: str, check: Callable[[], None]) -> Iterator[None]:
    """While processes wait for each other, end at a signal, for a reason, or after ten minutes.

    Nothing is there yet to be kept.

    Args:
        check: Raises InputError for a reason to end, such as another process that has ended.
    """
    earlier = {signum: signal.getsignal(signum) for signum in SIGNALS}
    handle(dict.fromkeys(SIGNALS, signal.SIG_DFL))
    try:
        with watched(command, check, 0, MINUTES_TO_MEET):
            yield
    finally:
        handle(earlier)


def announce_wait(strategy: DDPStrategy) -> None:
    """Say, in the first process of a machine, that it waits for other machines."""
    if strategy.num_nodes > 1 and strategy.local_rank == 0:
        n = strategy.num_nodes * strategy.num_processes
        said = "machine %d of %d waits for all of the %d processes, at most %s minutes"
        log.warning(said, strategy.node_rank + 1, strategy.num_nodes, n, MINUTES_TO_MEET)
