"""Triton kernels for what a training step does with selected codes; CUDA only.

Each does what torch's own operations do elsewhere, in the functions that call it.
"""

import logging
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from saev.errors import one_line

log = logging.getLogger(__name__)
GROUP = 32
"""Neighbours whose maximum is found first, where the largest entries of a wide row are looked for."""


def available_for(x: Tensor) -> bool:
    """Whether the kernels can work on this tensor: on a CUDA device that Triton is there for and compiles for."""
    return x.is_cuda and _compiles_for(x.device)


@cache
def _compiles_for(device: torch.device) -> bool:
    if find_spec("triton") is None or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    from saev.nn.kernels.largest import group_maxima

    try:
        group_maxima(torch.zeros(1, GROUP, device=device))
    except Exception as error:  # no C compiler, no headers of Python, a cache that cannot be written
        reason = one_line(error)
        log.warning("Triton cannot compile here (%s): steps take longer without its kernels", reason)
        return False
    return True
