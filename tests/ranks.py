"""Two processes of one group: what holds for each of them while they work together.

They are forked from a process that has imported what they need; a new interpreter for each would take seconds.
"""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.distributed
import torch.multiprocessing

FORKSERVER = get_context("forkserver")
"""Processes that inherit nothing of this one, as spawned ones do, but that are there at once."""
FORKSERVER.set_forkserver_preload(["torch", "torchmetrics", "saev.training"])


def in_two_processes(check: Callable[..., None], directory: Path, *args: object) -> None:
    """Run `check` as rank 0 and rank 1 of a gloo group; raises what one of them raises.

    Args:
        check: A function of a module.
        directory: Where the processes find one another; of this call alone.
        args: What each is called with.
    """
    torch.multiprocessing.start_processes(
        _as_rank, args=(str(directory / "ranks"), check, args), nprocs=2, start_method="forkserver"
    )


def _as_rank(rank: int, path: str, check: Callable[..., None], args: tuple[object, ...]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    check(*args)
    torch.distributed.destroy_process_group()
