"""SAEs whose latents the processes of a run divide among them, for dictionaries larger than one device.

All processes see the same tokens. Each has an equal share of the latents: their columns of W_enc, their b_enc and their
rows of W_dec, with gradients and moments of the optimizer; b_dec and the normalisation are the same in all.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from saev.errors import InputError
from saev.nn.base import ARCHITECTURES, SparseAutoencoder
from saev.nn.processes import DIVIDED_LATENTS, EVERYONE


def check_divisible(sae: SparseAutoencoder, n_processes: int) -> None:
    """Raise InputError unless so many processes can divide the latents."""
    if not sae.is_divisible:
        known = ", ".join(sorted(name for name, architecture in ARCHITECTURES.items() if architecture.is_divisible))
        raise InputError(f"shard_latents: the latents of {type(sae).__name__} cannot be divided, only those of {known}")
    if n_processes < 2:
        raise InputError("shard_latents: one process has nobody to share with, give --trainer.devices 2 or more")
    if sae.d_sae % n_processes:
        fitting = sae.d_sae + -sae.d_sae % n_processes
        raise InputError(
            f"shard_latents: d_sae={sae.d_sae} cannot be divided equally among {n_processes} processes, {fitting} can"
        )


def divide(sae: SparseAutoencoder) -> None:
    """Keep the latents of this process alone; from here on all processes take part in what the SAE does."""
    sae.processes = DIVIDED_LATENTS
    for name, dim in sae.latent_dims().items():
        weight = sae.get_parameter(name)
        setattr(sae, name, nn.Parameter(own_part(weight.detach(), dim)))


def own_part(whole: Tensor, dim: int) -> Tensor:
    """A copy of what belongs to the latents of this process; it lies in memory as the whole does.

    Args:
        whole: Has all latents.
        dim: Their dimension.
    """
    latents_first = whole.movedim(dim, 0)
    own = latents_first[EVERYONE.part(len(latents_first))]
    return own.clone(memory_format=torch.contiguous_format).movedim(0, dim)


def gathered(own: Tensor, dim: int) -> Tensor:
    """The inverse of `own_part`: all latents in the memory of the CPU of process 0, nothing elsewhere.

    No device holds more of it than its own part and that of one other process.

    Args:
        own: What belongs to the latents of this process.
        dim: Their dimension.
    """
    part = own.detach().movedim(dim, 0).contiguous()
    if EVERYONE.rank > 0:
        dist.send(part, dst=0)
        return torch.empty(0)
    whole = torch.empty(EVERYONE.size * len(part), *part.shape[1:], dtype=part.dtype)
    whole[: len(part)] = part
    received = torch.empty_like(part)
    for rank in range(1, EVERYONE.size):
        dist.recv(received, src=rank)
        whole[rank * len(part) : (rank + 1) * len(part)] = received
    return whole.movedim(0, dim)


def assembled(sae: SparseAutoencoder) -> SparseAutoencoder | None:
    """The whole SAE on the CPU in process 0, nothing elsewhere; all processes call it."""
    dims = sae.latent_dims()
    state = {
        name: gathered(tensor, dims[name]) if name in dims else tensor.detach().cpu().clone()
        for name, tensor in sae.state_dict().items()
    }
    if EVERYONE.rank > 0:
        return None
    with torch.device("meta"):
        whole = type(sae)(sae.d_in, **sae.options())
    whole.load_state_dict(state, assign=True)
    return whole.eval()
