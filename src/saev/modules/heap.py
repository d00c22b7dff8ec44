"""How the C library gives out memory."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
MOST_KEPT = 2**31 - 1  # The option is a C int; more than this at the end of the heap is given back.


def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next allocations, where the C library is glibc; else do nothing.

    By itself glibc asks the system for each tensor of 32 MB or more and gives it back after its use. Gradients are that
    large, and touching the small new pages takes up to a tenth of a training step on the CPU.
    """
    if sys.platform.startswith("linux") and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, MOST_KEPT)
