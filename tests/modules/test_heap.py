"""Freed memory is used again instead of asking the system for new pages."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from saev.modules.heap import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    keep_freed_memory()
torch.ones(2**24)
before = faults()
for _ in range(5):
    torch.ones(2**24)
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another C library")
def test_large_tensors_take_the_memory_of_freed_ones() -> None:
    kept, plain = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "plain")
    )
    pages = 2**24 * 4 / 4096
    assert plain > 4 * pages
    assert kept < 2 * pages
