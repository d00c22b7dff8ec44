"""Signals that wait for the end of a training step."""

import os
import signal
from types import FrameType
from typing import Final, final

import lightning
import torch
import torch.distributed as dist

from saev.stopping import SIGNALS, end_at_once, handle

_STDERR: Final = 2
_NOTE: Final = b"\nthe run stops after this step, with a checkpoint; another signal ends it at once\n"


@final
class StepSignals:
    """Holds SIGINT and SIGTERM back while training steps run; all processes agree on one that came to any of them.

    The processes agree through a group of their own, on the hosts: a reduction that is started after one step is read
    after the next one. No step waits for it, and none for the device.

    Args:
        trainer: Its processes stop together. All of them make this object, at the start of training.
    """

    def __init__(self, trainer: lightning.Trainer) -> None:
        # Lightning would broadcast SIGTERM before each step, and read it from the device.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]
        self._speaks = trainer.is_global_zero
        self._group: dist.ProcessGroup | None = None
        if trainer.world_size > 1:
            group = dist.new_group(backend="gloo")
            assert isinstance(group, dist.ProcessGroup)
            self._group = group
        self._pending: tuple[dist.Work, torch.Tensor] | None = None
        self._caught = 0
        self._earlier = {signum: signal.getsignal(signum) for signum in SIGNALS}
        handle(dict.fromkeys(SIGNALS, self._note))

    def agreed(self, *, is_last: bool) -> int:
        """The signal that stops all processes after this step, or 0. All of them call it after each step.

        Args:
            is_last: Whether there are no more steps; then the newest signals count.
        """
        if self._group is None:
            return self._caught
        found = self._read()
        told = torch.tensor(self._caught)
        work = dist.all_reduce(told, dist.ReduceOp.MAX, group=self._group, async_op=True)
        assert work is not None
        self._pending = work, told
        return found or (self._read() if is_last else 0)

    def _read(self) -> int:
        if self._pending is None:
            return 0
        work, told = self._pending
        self._pending = None
        work.wait()
        return int(told)

    def release(self) -> None:
        """Restore the earlier signal handlers."""
        handle(self._earlier)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self._caught:
            end_at_once(signum, frame)
        self._caught = signum
        if self._speaks:
            os.write(_STDERR, _NOTE)  # print may be what the signal broke into


def _nothing() -> None:
    """Instead of a broadcast."""
