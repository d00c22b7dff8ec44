"""Sums, minima and rows over the processes of a training run. A process alone has all there is."""

import torch
import torch.distributed as dist
from torch import Tensor


def n_processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum, the same in each process; no gradient flows through it."""
    return _reduced(x, dist.ReduceOp.SUM)


def min_over_processes(x: Tensor) -> Tensor:
    """The smallest, elementwise, the same in each process."""
    return _reduced(x, dist.ReduceOp.MIN)


def rows_of_processes(x: Tensor) -> Tensor:
    """The rows of all processes, of the first one first; each has equally many."""
    if n_processes() == 1:
        return x.detach()
    parts = [torch.empty_like(x) for _ in range(n_processes())]
    dist.all_gather(parts, x.detach().contiguous())
    return torch.cat(parts)


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if n_processes() > 1 else 0


def _reduced(x: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
    if n_processes() == 1:
        return x.detach()
    x = x.detach().clone()
    dist.all_reduce(x, operation)
    return x
