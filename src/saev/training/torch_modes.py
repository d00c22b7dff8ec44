"""Modes of torch that callers and their generators set, apart from those that training needs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Self, final

import torch


@final
@dataclass(frozen=True)
class TorchModes:
    """How torch computes in this thread."""

    grad: bool  # Whether gradients can be asked for.
    inference: bool  # Whether new tensors are those of inference mode.
    # By kind of device, the dtype of products of low precision, or None where they are not.
    autocast: tuple[tuple[str, torch.dtype | None], ...]

    @classmethod
    def now(cls) -> Self:
        """Those that are set."""
        found = [
            (kind, torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None) for kind in _kinds()
        ]
        return cls(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), tuple(found))

    @classmethod
    def of_training(cls) -> Self:
        """Those of training, whatever its caller has set."""
        return cls(grad=True, inference=False, autocast=tuple((kind, None) for kind in _kinds()))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Set them for a while."""
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(self.inference))
            stack.enter_context(torch.set_grad_enabled(self.grad))
            for kind, dtype in self.autocast:
                stack.enter_context(torch.autocast(kind, dtype, enabled=dtype is not None))
            yield


def _kinds() -> list[str]:
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
