"""Brings tensors from the device to the host while the device goes on computing."""

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor


@final
class HostCopies:
    """Starts copies to the host; on CUDA in a stream of its own and into pinned memory."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}

    def start(self, tensor: Tensor) -> Callable[[], Tensor]:
        """Begin a copy; the function returned waits for its end and gives the contiguous tensor on the CPU.

        The tensor must not be changed any more.
        """
        if not tensor.is_cuda:
            copy = tensor.to("cpu").contiguous()
            return lambda: copy
        return self._start_cuda(tensor)

    def _start_cuda(self, tensor: Tensor) -> Callable[[], Tensor]:
        if tensor.device not in self._streams:
            self._streams[tensor.device] = torch.cuda.Stream(tensor.device)  # type: ignore[no-untyped-call]
        stream = self._streams[tensor.device]
        stream.wait_stream(torch.cuda.current_stream(tensor.device))
        with torch.cuda.stream(stream):
            host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            host.copy_(tensor, non_blocking=True)
            done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            done.record(stream)
        tensor.record_stream(stream)  # or its memory would be given to the next batch during the copy

        def wait() -> Tensor:
            done.synchronize()
            return host

        return wait
