"""The wait of processes for each other, which ends: at a signal, with one of them, or when it takes too long."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final, final

import lightning
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from typing_extensions import override

from saev.errors import InputError, tell

log = logging.getLogger(__name__)
MINUTES_TO_MEET: Final = 10


@contextmanager
def watched(command: str, check: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """While torch waits and Python cannot run, end at a signal or for a reason. Nothing is there yet to be kept.

    Args:
        command: The name of the command, for the message.
        check: Raises InputError for a reason to end, such as another process that has ended.
        stop: Ends the processes that this one has started.
    """
    done = threading.Event()
    threading.Thread(target=_watch, args=(command, check, stop, done), daemon=True).start()
    handlers = {signum: signal.signal(signum, signal.SIG_DFL) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)
        done.set()


def _watch(command: str, check: Callable[[], None], stop: Callable[[], None], done: threading.Event) -> None:
    deadline = time.monotonic() + 60 * MINUTES_TO_MEET
    while not done.wait(0.2):
        try:
            check()
            if time.monotonic() > deadline:
                raise InputError(
                    f"not all processes have come within {MINUTES_TO_MEET} minutes: start the same command on every "
                    "machine, and see that the first one can be reached there (MASTER_ADDR, MASTER_PORT)"
                )
        except InputError as error:
            tell(f"saev {command}: error: {error}")
            stop()
            os._exit(1)


def announce_wait(strategy: DDPStrategy) -> None:
    """Say, in the first process of a machine, that it waits for other machines."""
    if strategy.num_nodes > 1 and strategy.local_rank == 0:
        n = strategy.num_nodes * strategy.num_processes
        said = "machine %d of %d waits for all of the %d processes, at most %s minutes"
        log.warning(said, strategy.node_rank + 1, strategy.num_nodes, n, MINUTES_TO_MEET)


@contextmanager
def bounded_meeting(command: str, trainer: lightning.Trainer) -> Iterator[None]:
    """Bound the time that a trainer waits for other machines before it begins."""
    strategy = trainer.strategy
    if trainer.num_nodes == 1 or dist.is_initialized() or not isinstance(strategy, DDPStrategy):
        yield
        return
    parent = os.getppid()

    def check() -> None:
        if strategy.local_rank and os.getppid() != parent:
            raise InputError("the process that started this one is gone")

    def stop() -> None:
        if strategy.launcher is not None:
            strategy.launcher.kill(signal.SIGKILL)

    with ExitStack() as stack:
        announce_wait(strategy)
        stack.enter_context(watched(command, check, stop))
        trainer.callbacks.insert(0, _Met(stack.close))  # type: ignore[attr-defined]
        yield


@final
class _Met(lightning.Callback):
    """Hears of the first thing that happens when all processes are there."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        self._leave()
