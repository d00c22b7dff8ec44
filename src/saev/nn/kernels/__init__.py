"""Triton kernels for what a training step does with selected codes; CUDA only.

Each does what torch's own operations do elsewhere, in the functions that call it.
"""

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

GROUP = 32
"""Neighbours whose maximum is found first, where the largest entries of a wide row are looked for."""


def available_for(x: Tensor) -> bool:
    """Whether the kernels can work on this tensor: on a CUDA device that Triton compiles for, with Triton installed."""
    return x.is_cuda and _compiles_for(x.device)


@cache
def _compiles_for(device: torch.device) -> bool:
    return find_spec("triton") is not None and torch.cuda.get_device_capability(device) >= (8, 0)
