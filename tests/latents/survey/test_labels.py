"""Purity, lift and the first labels, by an example worked out by hand."""

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


def test_purity_and_lift(counts: LabelCounts) -> None:
    everyone = torch.arange(3)
    purity = [[2 / 3, 1 / 3, 0, 0, 0], [0, 0, 0, 1, 0], [0] * 5]
    torch.testing.assert_close(counts.purity(everyone), torch.tensor(purity))
    lift = [[2 / 3 / 0.5, 1 / 3 / 0.3, 0, 0, 0], [0, 0, 0, 5, 0], [0] * 5]
    torch.testing.assert_close(counts.lift(everyone), torch.tensor(lift))


def test_first_labels(counts: LabelCounts) -> None:
    top = counts.top(torch.tensor([1, 0, 2]), 2)
    assert top.labels.tolist() == [[3, -1], [0, 1], [-1, -1]]
    assert top.counts.tolist() == [[1, 0], [2, 1], [0, 0]]
    torch.testing.assert_close(top.purity, torch.tensor([[1, 0], [2 / 3, 1 / 3], [0, 0]]))
    torch.testing.assert_close(top.lift, torch.tensor([[5, 0], [4 / 3, 10 / 9], [0, 0]]))


def test_by_lift_and_with_rare_ones_left_out() -> None:
    counts = LabelCounts(1, 3)
    labels = np.array([0] * 5 + [1] * 3 + [2] * 2)
    counts.update(labels, np.zeros(6, dtype=np.int64), np.array([0, 0, 0, 1, 2, 2]))
    assert counts.top(torch.tensor([0]), 3, by="purity").labels.tolist() == [[0, 2, 1]]
    assert counts.top(torch.tensor([0]), 3, by="lift").labels.tolist() == [[2, 0, 1]]
    assert counts.top(torch.tensor([0]), 3, by="lift", at_least=2).labels.tolist() == [[2, 0, -1]]


def test_ties_go_to_the_lower_label() -> None:
    counts = LabelCounts(1, 40)
    counts.update(np.arange(40), np.zeros(40, dtype=np.int64), np.arange(40))
    assert counts.top(torch.tensor([0]), 9).labels.tolist() == [list(range(9))]


def test_too_many_labels_are_refused() -> None:
    assert LabelCounts.fits(2**10, MAX_LABEL_BYTES // 2**12)
    with pytest.raises(InputError, match="1,048,577 labels of 256 latents take 1,073,742,848 bytes"):
        LabelCounts(256, 2**20 + 1)
