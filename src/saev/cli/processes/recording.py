"""The processes of a recording: they meet at a few points, and none stays behind when another one has ended."""

import logging
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, TypeVar, final

import torch.distributed as dist
from typing_extensions import override

from saev.cli.processes.watched import SECONDS_TO_STOP, ProcessEndedError, WatchedLauncher, WatchedStrategy
from saev.stopping import companions

logging.getLogger("lightning.fabric.utilities.distributed").setLevel(logging.WARNING)
T = TypeVar("T")
_PATIENCE: Final = timedelta(days=2)  # processes meet when all shards are whole; one may have a shard more to do


@final
class RecordingLauncher(WatchedLauncher):
    """Ends the other processes before this one, which then says how many shards are whole."""

    @override
    def kill(self, signum: int) -> None:
        """Send a signal to the other processes, and wait until all have ended."""
        super().kill(signum)
        deadline = time.monotonic() + SECONDS_TO_STOP
        for process in companions:
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@final
class RecordingStrategy(WatchedStrategy):
    """One process a device. While it waits for the others it obeys signals, and it stops when one of them has ended."""

    command = "predict"
    work = "recording"
    launcher_type = RecordingLauncher
    _meeting: dist.ProcessGroup | None = None

    def __init__(self) -> None:
        super().__init__(timeout=_PATIENCE)

    @override
    def launched(self, run: Callable[[], T]) -> T:
        """Record, and hold the group no more: its threads would outlive the interpreter, and may abort the process."""
        result = run()
        self._meeting = None
        return result

    @override
    def meet(self) -> None:
        """Join all processes, and again on the hosts."""
        super().meet()
        # NCCL would neither notice that a process has ended nor wait in a way that signals can interrupt.
        meeting = dist.new_group(backend="gloo", timeout=_PATIENCE)
        assert isinstance(meeting, dist.ProcessGroup)
        self._meeting = meeting

    @override
    def barrier(self, *args: Any, **kwargs: Any) -> None:
        """Wait for all.

        Raises:
            ProcessEndedError: if one of them has ended.
        """
        if dist.is_initialized():
            meeting = self.or_ended(lambda: dist.barrier(self._meeting, async_op=True))
            assert meeting is not None
            while not meeting.is_completed():
                self.check()
                time.sleep(0.01)
            try:
                self.or_ended(meeting.wait)
            except ProcessEndedError:
                self.await_failure()
                raise

    @override
    def broadcast(self, obj: T, src: int = 0) -> T:
        """Give what one process has to all of them."""
        self.barrier()
        if not dist.is_initialized():
            return obj
        objects = [obj]
        self.or_ended(lambda: dist.broadcast_object_list(objects, src, group=self._meeting))
        return objects[0]

    @override
    def predict_step(self, *args: Any, **kwargs: Any) -> Any:
        """A batch, while the others are at work."""
        self.check()
        return super().predict_step(*args, **kwargs)
