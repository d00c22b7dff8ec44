"""A recording in which one neuron, and one direction, tell pictures with an attribute from those without it."""

from pathlib import Path

import numpy as np
import torch
from tests.conftest import MakeShards

from saev.probing.controls.control import ControlTask, LabelledPictures
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader

N, D, NEURON = 120, 8, 3
Y_I = np.arange(N) % 3 == 0
TEST_I = np.arange(N) % 2 == 1


def planted(make_shards: MakeShards) -> ShardReader:
    """One token of each picture with the attribute has a strongly negative neuron 3; all else is noise."""
    x_itd = torch.randn(N, 7, D, generator=torch.Generator().manual_seed(0))
    x_itd[torch.from_numpy(Y_I), 4, NEURON] = -6.0
    return open_shards(Path(make_shards(N, d_model=D, acts=x_itd)[0]))


def half(inside_i: np.ndarray, y_i: np.ndarray = Y_I) -> LabelledPictures:
    images = np.flatnonzero(inside_i)
    return LabelledPictures(images, y_i[images], images)


def task(y_i: np.ndarray = Y_I) -> ControlTask:
    return ControlTask(half(~TEST_I, y_i), half(TEST_I, y_i))
