"""Memory that is quick to touch: the system hands out new pages when they are written to for the first time."""

import ctypes
import math
import sys

import numpy as np
import torch
from torch import Tensor

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST_KEPT = 2**27
MAX_KEPT_BYTES = 2**29


def empty_bytes(shape: tuple[int, ...]) -> Tensor:
    """Memory of any content, uint8 of this shape, on the CPU, to be overwritten.

    numpy's, because it asks for huge pages: to touch torch's small ones for the first time takes several times as
    long as to write to them.
    """
    n = math.prod(shape)
    # An array without any byte has no strides that torch could view as another dtype.
    return torch.from_numpy(np.empty(max(n, 1), dtype=np.uint8))[:n].view(shape)


def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next allocations, where the C library is glibc; else do nothing.

    By itself glibc asks the system for each tensor of 32 MB or more and gives it back after its use. Gradients are that
    large, and touching their new pages takes up to a tenth of a training step on the CPU. Up to 512 MB stay with
    the process; tensors of more than 128 MB are given back as before.
    """
    if sys.platform.startswith("linux") and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, MAX_KEPT_BYTES)
