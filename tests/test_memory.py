"""Freed memory is used again instead of asking the system for new pages."""

import ctypes
import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from saev.memory import keep_freed_memory

def faults(n_bytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(n_bytes, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
faults(2**26), faults(2**26), faults(2**26)
print(faults(2**26), faults(2**28))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library")
def test_large_tensors_take_the_memory_of_freed_ones_but_the_largest_give_it_back() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    large, largest = map(int, done.stdout.split())
    assert large < 2**26 / 4096
    assert largest >= 5 * 2**28 / 2**21, "of pages of 2 MB at most"
