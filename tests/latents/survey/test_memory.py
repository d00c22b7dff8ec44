"""The stated bound against what a process takes, at the size of a real SAE."""

import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import torch
from tests.latents.survey.brute_force import add, arrays_of
from tests.ranks import FORKSERVER

from saev.latents.sparse import Spots
from saev.latents.survey import LatentSurvey, tables_bytes, update_bytes

D_SAE, TOP_K, T = 24_576, 128, 50
GRID = (7, 7)


def peak() -> int:
    """Bytes. Not ru_maxrss: that of a child begins with that of the process that started it."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def growth() -> int:
    """What a survey adds to the peak of this process.

    Every latent fires on every image: all tables fill up. The last image is the worst case, active everywhere.
    """
    torch.set_num_threads(1)
    sparse = torch.rand(40, T, D_SAE, generator=torch.Generator().manual_seed(0)).sub_(0.9)
    dense = torch.rand(1, T, D_SAE).add_(1)
    warm = LatentSurvey(2, Spots(T, range(1, T), cls=0), 2, n_image_labels=2)
    add(warm, sparse[:1, :, :2], torch.arange(1), torch.zeros(1, dtype=torch.int64))
    warm.tokens.nearest(torch.arange(2), 1)
    before = peak()
    survey = LatentSurvey(D_SAE, Spots(T, range(1, T), cls=0), TOP_K, n_image_labels=100, grid=GRID, n_images=200)
    for number in range(4):
        add(survey, sparse, torch.arange(40) + 40 * number, torch.arange(40))
    add(survey, dense, torch.tensor([1000]), torch.tensor([3]))
    assert (survey.top["patch"].images[:, -1] >= 0).all()
    return peak() - before


def test_tables_are_within_the_bound() -> None:
    labels = {"n_image_labels": 1000, "n_patch_labels": 7}
    survey = LatentSurvey(D_SAE, Spots(T, range(1, T), cls=0), TOP_K, grid=GRID, n_images=200, **labels)
    n_bytes = sum(array.nbytes for array in arrays_of(survey).values())
    tables = tables_bytes(D_SAE, TOP_K, grid=GRID, n_images=200, **labels)
    assert 0.5 * tables < n_bytes < tables  # what is sampled fills up with what is seen


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_is_within_the_bound() -> None:
    with ProcessPoolExecutor(1, FORKSERVER) as pool:
        taken = pool.submit(growth).result()
    bound = tables_bytes(D_SAE, TOP_K, n_image_labels=100, grid=GRID, n_images=200) + update_bytes(D_SAE, T)
    assert 0.4 * bound < taken < bound, f"{taken:,} of {bound:,}"
