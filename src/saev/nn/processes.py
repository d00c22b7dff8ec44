"""How the processes of a run divide tokens or latents, and how they exchange tensors; a single process has all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, final

import torch
import torch.distributed as dist
from torch import Tensor
from typing_extensions import override


@final
@dataclass(frozen=True)
class Group:
    """The processes that take part in an exchange: all of the run, or this one alone."""

    everyone: bool  # Whether it is all of the run.

    @property
    def size(self) -> int:
        """How many processes they are."""
        return dist.get_world_size() if self.everyone and dist.is_available() and dist.is_initialized() else 1

    @property
    def rank(self) -> int:
        """The number of this process among them, from 0."""
        return dist.get_rank() if self.size > 1 else 0

    def part(self, n: int) -> slice:
        """Which of n things this process has, where each has equally many."""
        width = n // self.size
        return slice(self.rank * width, (self.rank + 1) * width)

    def sum(self, x: Tensor) -> Tensor:
        """The sum, the same in each process; no gradient flows through it."""
        return self._reduced(x, dist.ReduceOp.SUM)

    def total(self, n: int, device: torch.device) -> int:
        """The sum of a number, which a device exchanges."""
        return n if self.size == 1 else int(self.sum(torch.tensor(n, device=device)))

    def min(self, x: Tensor) -> Tensor:
        """The smallest, elementwise, the same in each process."""
        return self._reduced(x, dist.ReduceOp.MIN)

    def rows(self, x: Tensor) -> Tensor:
        """The rows of all processes, of the first one first; each has equally many."""
        x = x.detach().contiguous()
        if self.size == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.size)]
        dist.all_gather(parts, x)
        return torch.cat(parts)

    def each(self, x: Tensor) -> Iterator[Tensor]:
        """What each process has, one after the other; the next one takes the memory of the one before."""
        x = x.detach().contiguous()
        received = torch.empty_like(x) if self.size > 1 else x
        for rank in range(self.size):
            part = x if rank == self.rank else received
            if self.size > 1:
                dist.broadcast(part, src=rank)
            yield part

    def sum_on_graph(self, x: Tensor) -> Tensor:
        """The sum of what each process contributes to a loss that all of them compute alike.

        Because it is the same loss, its gradient is the whole gradient of the own contribution, and nothing is
        exchanged on the way back.
        """
        if self.size == 1:
            return x
        total: Tensor = _SumOnGraph.apply(x, self)
        return total

    def _reduced(self, x: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        if self.size == 1:
            return x.detach()
        x = x.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(x, operation)
        return x


ALONE, EVERYONE = Group(everyone=False), Group(everyone=True)


@final
@dataclass(frozen=True)
class Processes:
    """Two ways to divide the work of a step."""

    tokens: Group  # Those that have the same latents, each with tokens of its own.
    latents: Group  # Those that have the same tokens, each with latents of its own.

    @property
    def all(self) -> Group:
        """Those that have anything of their own."""
        return Group(everyone=self.tokens.everyone or self.latents.everyone)


DIVIDED_TOKENS = Processes(tokens=EVERYONE, latents=ALONE)
DIVIDED_LATENTS = Processes(tokens=ALONE, latents=EVERYONE)


def said_by_any(text: str | None, patience: timedelta | None = None) -> str | None:
    """What the first process that has something to say says; all processes call it.

    Args:
        text: What this one says.
        patience: How long one may wait for the others, where this is longer than usual.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return text
    meeting = dist.group.WORLD if patience is None else dist.new_group(backend="gloo", timeout=patience)
    assert meeting is None or isinstance(meeting, dist.ProcessGroup)
    said: list[str | None] = [None] * dist.get_world_size()
    dist.all_gather_object(said, text, group=meeting)
    return next((one for one in said if one is not None), None)


class _SumOnGraph(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, x: Tensor, group: Group) -> Tensor:
        return group.sum(x)

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None
