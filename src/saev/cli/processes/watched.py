"""Processes of one command on one machine: none stays behind when another one has ended, and one says which did."""

import os
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import lightning
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from typing_extensions import override

from saev.cli.processes.count import N_STARTED
from saev.cli.processes.meeting import announce_wait, first_meeting
from saev.errors import InputError, one_line
from saev.stopping import companions, ending

T = TypeVar("T")
_STARTED_BY: Final = "SAEV_STARTED_BY"
SECONDS_TO_STOP: Final = 10


class ProcessEndedError(InputError):
    """Raised where another process has ended, so that this one cannot go on."""


class WatchedLauncher(_SubprocessScriptLauncher):
    """Starts the other processes of this machine: they are the `companions` of this one."""

    @override
    def launch(self, *args: Any, **kwargs: Any) -> Any:
        """Do what is to do in all processes.

        Raises:
            InputError: if torchrun or Slurm have started another number of them.
            ProcessEndedError: if another one has ended.
        """
        try:
            self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        except ValueError as error:
            raise InputError(f"--trainer.devices, --trainer.num_nodes: {error}") from error
        trainer: lightning.Trainer = kwargs["trainer"]
        assert isinstance(trainer.strategy, WatchedStrategy)
        return trainer.strategy.launched(lambda: super(WatchedLauncher, self).launch(*args, **kwargs))

    @override
    def _call_children_scripts(self) -> None:
        os.environ[_STARTED_BY] = str(os.getpid())
        os.environ[N_STARTED] = str(self.num_processes)
        super()._call_children_scripts()
        # Lightning's observer would kill this process, without a word, when one of its list has failed.
        companions[:], self.procs = self.procs, []

    @override
    def kill(self, signum: int) -> None:
        """Send a signal to the other processes."""
        for process in companions:
            process.send_signal(signum)


class WatchedStrategy(DDPStrategy):
    """One process a device, of which each looks after those that it depends on."""

    command: str
    """The name of the command, for messages."""
    work: str
    """What the processes do, for messages."""
    launcher_type: type[WatchedLauncher] = WatchedLauncher

    @override
    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = self.launcher_type(self.cluster_environment, self.num_processes, self.num_nodes)

    def launched(self, run: Callable[[], T]) -> T:
        """Do what is to do in this process, beside the others."""
        return run()

    @override
    def setup_distributed(self) -> None:
        """Meet for the first time.

        Raises:
            ProcessEndedError: if the others do not come.
        """
        if dist.is_initialized():
            self.meet()
            return
        announce_wait(self)
        with first_meeting(self.command, self.check):
            self.or_ended(self.meet)

    def meet(self) -> None:
        """Join the group of all processes."""
        super().setup_distributed()

    def check(self) -> None:
        """Look after the other processes of this machine.

        Raises:
            ProcessEndedError: if one that this one started has failed, or the one that started this one is gone.
        """
        for rank, process in enumerate(companions, self.global_rank + 1):
            if status := process.poll():
                raise ProcessEndedError(f"process {rank} of this {self.work} {ending(status)}")
        parent = self._parent()
        if parent is not None and parent != os.getppid():
            raise ProcessEndedError(f"the process that started this one is gone: the {self.work} stops")

    def await_failure(self) -> None:
        """Wait for another process that is about to end, so that the error can name it and its status.

        Raises:
            ProcessEndedError: as `check`.
        """
        is_alone = self._parent() is None and not companions
        deadline = time.monotonic() + (1 if is_alone else SECONDS_TO_STOP)
        while time.monotonic() < deadline:
            self.check()
            time.sleep(0.01)

    def or_ended(self, meet: Callable[[], T]) -> T:
        """Do what needs all processes.

        Raises:
            ProcessEndedError: if one of them has ended.
        """
        try:
            return meet()
        except RuntimeError as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: RuntimeError) -> ProcessEndedError:
        """What there is to say where nobody knows how another process has ended."""
        return ProcessEndedError(
            f"another process of this {self.work} has ended early, or cannot be reached ({one_line(error)}): what it "
            "said, if anything, stands above"
        )

    def _parent(self) -> int | None:
        """The process that has started this one, where it is one of ours."""
        parent = os.environ.get(_STARTED_BY)
        return int(parent) if self.local_rank and parent is not None else None
