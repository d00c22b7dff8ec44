"""The processes of `saev fit`, `validate` and `test`."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

from jsonargparse import Namespace
from typing_extensions import override

from saev.cli.processes.count import n_asked
from saev.cli.processes.meeting import watched
from saev.cli.processes.watched import ProcessEndedError, WatchedStrategy
from saev.errors import InputError
from saev.modules import LatentShards

T = TypeVar("T")
_PATIENCE: Final = 20.0
"""Seconds until a process that cannot find out by itself, as with NCCL, ends when another one has."""
_MEETING: Final = re.compile(r"gloo|nccl|TCPStore|Connection (closed|reset)|Broken pipe", re.IGNORECASE)
"""Of errors of torch where processes exchange something."""
_OF_DDP: Final[dict[str, dict[str, Any]]] = {
    "ddp": {},
    "ddp_find_unused_parameters_false": {"find_unused_parameters": False},
    "ddp_find_unused_parameters_true": {"find_unused_parameters": True},
}
"""Lightning's names, and what they mean."""


class TrainingStrategy(WatchedStrategy):
    """DDP that ends with one line, and with all of its processes, when one of them has ended."""

    advice: Callable[[], str] = str
    """What is kept when a process has ended, for the end of a line; or nothing."""

    def __init__(self, command: str, **options: Any) -> None:
        super().__init__(**options)
        self.command = command
        self.work = "training" if command == "fit" else "evaluation"

    @override
    def launched(self, run: Callable[[], T]) -> T:
        """Train or evaluate.

        Raises:
            ProcessEndedError: if another process has ended.
        """
        try:
            with watched(self.command, self._check_advising, _PATIENCE):
                return run()
        except RuntimeError as error:
            if _MEETING.search(str(error)):
                self.await_failure()
                raise self.unreachable(error) from error
            raise

    def _check_advising(self) -> None:
        try:
            self.check()
        except ProcessEndedError as error:
            raise ProcessEndedError("; ".join(filter(None, (str(error), self.advice())))) from error


class TrainingLatentShards(TrainingStrategy, LatentShards):
    """The same where the processes divide the latents."""


def training_strategy(settings: Namespace, command: str, *, shard_latents: bool) -> TrainingStrategy | None:
    """The strategy for the trainer's options; None leaves it to the trainer.

    Raises:
        InputError: If the processes divide the latents, and the options name a strategy that cannot.
    """
    name = settings.strategy
    if shard_latents:
        if name not in ("auto", "ddp"):
            raise InputError(f"--trainer.strategy {name}: with --model.shard_latents true, give ddp")
        return TrainingLatentShards(command)
    has_several = settings.num_nodes > 1 or (n_asked(settings.accelerator, settings.devices) or 1) > 1
    if name == "auto" and has_several:
        name = "ddp"
    return TrainingStrategy(command, **_OF_DDP[name]) if isinstance(name, str) and name in _OF_DDP else None
