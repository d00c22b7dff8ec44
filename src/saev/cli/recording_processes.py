"""The processes of a recording: they meet at a few points, and none stays behind when another one has ended."""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar, final

import lightning
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from typing_extensions import override

from saev.cli.meeting import announce_wait, watched
from saev.cli.process_count import N_STARTED
from saev.errors import InputError, one_line

logging.getLogger("lightning.fabric.utilities.distributed").setLevel(logging.WARNING)
T = TypeVar("T")
_PATIENCE: Final = timedelta(days=2)  # processes meet when all shards are whole; one may have a shard more to do
_STARTED_BY: Final = "SAEV_STARTED_BY"
_SECONDS_TO_STOP: Final = 10


@final
class RecordingLauncher(_SubprocessScriptLauncher):
    """Starts the other processes of this machine, and ends them."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.children: list[subprocess.Popen[bytes]] = []

    @override
    def launch(self, *args: Any, **kwargs: Any) -> Any:
        """Do what is to do in all processes.

        Raises:
            InputError: if torchrun or Slurm have started another number of them.
        """
        try:
            self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        except ValueError as error:
            raise InputError(f"--trainer.devices, --trainer.num_nodes: {error}") from error
        result = super().launch(*args, **kwargs)
        trainer: lightning.Trainer = kwargs["trainer"]
        assert isinstance(trainer.strategy, RecordingStrategy)
        trainer.strategy.part()
        return result

    @override
    def _call_children_scripts(self) -> None:
        os.environ[_STARTED_BY] = str(os.getpid())
        os.environ[N_STARTED] = str(self.num_processes)
        super()._call_children_scripts()
        # Lightning's observer would kill this process, without a word, when one of its list has failed.
        self.children, self.procs = self.procs, []

    @override
    def kill(self, signum: int) -> None:
        """Send a signal to the other processes, and wait until all have ended."""
        for child in self.children:
            child.send_signal(signum)
        deadline = time.monotonic() + _SECONDS_TO_STOP
        for child in self.children:
            try:
                child.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def failure(self) -> tuple[int, int] | None:
        """Local rank and status of a process that has failed."""
        ended = ((rank, child.poll()) for rank, child in enumerate(self.children, 1))
        return next(((rank, status) for rank, status in ended if status), None)


@final
class RecordingStrategy(DDPStrategy):
    """One process a device. While it waits for the others it obeys signals, and it stops when one of them has ended."""

    def __init__(self) -> None:
        super().__init__(timeout=_PATIENCE)

    _meeting: dist.ProcessGroup | None = None

    @override
    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = RecordingLauncher(self.cluster_environment, self.num_processes, self.num_nodes)

    @override
    def setup_distributed(self) -> None:
        """Meet for the first time.

        Raises:
            InputError: if the others do not come.
        """
        announce_wait(self)
        launcher = self._launcher
        assert launcher is not None
        with watched("predict", self.check, lambda: launcher.kill(signal.SIGKILL)):
            _or_ended(super().setup_distributed)
            # NCCL would neither notice that a process has ended nor wait in a way that signals can interrupt.
            meeting = _or_ended(lambda: dist.new_group(backend="gloo", timeout=_PATIENCE))
        assert isinstance(meeting, dist.ProcessGroup)
        self._meeting = meeting

    @override
    def barrier(self, *args: Any, **kwargs: Any) -> None:
        """Wait for all.

        Raises:
            InputError: if one of them has ended.
        """
        if dist.is_initialized():
            meeting = _or_ended(lambda: dist.barrier(self._meeting, async_op=True))
            assert meeting is not None
            while not meeting.is_completed():
                self.check()
                time.sleep(0.01)
            try:
                _or_ended(meeting.wait)
            except InputError:
                self._await_failure()
                raise

    @override
    def broadcast(self, obj: T, src: int = 0) -> T:
        """Give what one process has to all of them."""
        self.barrier()
        if not dist.is_initialized():
            return obj
        objects = [obj]
        _or_ended(lambda: dist.broadcast_object_list(objects, src, group=self._meeting))
        return objects[0]

    def part(self) -> None:
        """Meet no more: torch's threads that outlive the interpreter may abort the process when all is done."""
        if dist.is_initialized():
            self._meeting = None
            dist.destroy_process_group()

    @override
    def predict_step(self, *args: Any, **kwargs: Any) -> Any:
        """A batch, while the others are at work."""
        self.check()
        return super().predict_step(*args, **kwargs)

    def check(self) -> None:
        """Look after the other processes of this machine.

        Raises:
            InputError: if one that this one started has failed, or the one that started this one is gone.
        """
        assert isinstance(self._launcher, RecordingLauncher)
        if failure := self._launcher.failure():
            rank, status = failure
            raise InputError(f"process {self.global_rank + rank} of this recording {_ending(status)}")
        parent = os.environ.get(_STARTED_BY)
        if self.local_rank and parent is not None and int(parent) != os.getppid():
            raise InputError("the process that started this one is gone: the recording stops")

    def _await_failure(self) -> None:
        """Let a process that has left end, so that it can be told how."""
        assert isinstance(self._launcher, RecordingLauncher)
        deadline = time.monotonic() + (_SECONDS_TO_STOP if self._launcher.children else 1)
        while time.monotonic() < deadline:
            self.check()
            time.sleep(0.01)


def _ending(status: int) -> str:
    number = -status if status < 0 else status - 128  # a shell's way to tell of a signal
    if number not in set(signal.Signals):
        return "has failed: what it said stands above"
    hint = ": is memory short?" if number == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(number).name}{hint}"


def _or_ended(meet: Callable[[], T]) -> T:
    """Do what needs all processes.

    Raises:
        InputError: if one of them has ended.
    """
    try:
        return meet()
    except RuntimeError as error:
        reason = one_line(error)
        raise InputError(
            f"another process of this recording has ended early, or cannot be reached ({reason}): what it said, if "
            "anything, stands above"
        ) from error
