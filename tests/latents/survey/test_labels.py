"""Purity by an example worked out by hand."""

import numpy as np
import pytest
import torch

from saev.errors import InputError
from saev.latents.survey import LabelCounts
from saev.latents.survey.labels import MAX_LABEL_BYTES


@pytest.fixture
def counts() -> LabelCounts:
    """Ten images: five 0, three 1, two 3, and two without. Latent 0 fires on 0 0 1 -1, latent 1 on 3, 2 on none."""
    counts = LabelCounts(3, 5)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 3, 3, -1, -1])
    counts.update(labels, np.array([0, 0, 0, 0, 1]), np.array([0, 0, 1, -1, 3]))
    return counts


def test_purity(counts: LabelCounts) -> None:
    purity = [[2 / 3, 1 / 3, 0, 0, 0], [0, 0, 0, 1, 0], [0] * 5]
    torch.testing.assert_close(counts.purity(torch.arange(3)), torch.tensor(purity))


def test_too_many_labels_are_refused() -> None:
    assert LabelCounts.fits(2**10, MAX_LABEL_BYTES // 2**12)
    with pytest.raises(InputError, match="1,048,577 labels of 256 latents take 1,073,742,848 bytes"):
        LabelCounts(256, 2**20 + 1)
