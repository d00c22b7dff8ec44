"""Active patches against labels of patches: equal to plain counting, thresholds from one half alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards

import saev
from saev.latents.labels import Labels
from saev.nn import TopK
from saev.probing.candidates.patches import Overlap, best_ious
from saev.shards.reading.open import open_shards
from saev.vit.images.base import NO_LABEL

N, T, D_SAE = 40, 6, 24


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 4, (N, T), generator=generator, dtype=torch.uint8)
    labels[labels == 3] = NO_LABEL
    return make_shards(N, grid=(2, 3), labels=labels, images="5" * 64)[0]


@pytest.fixture(scope="module")
def sae() -> TopK:
    torch.manual_seed(1)
    return TopK(8, D_SAE, k=3)


@pytest.fixture(scope="module")
def labels(shards: Path) -> Labels:
    return Labels.of(open_shards(shards))


@pytest.fixture
def is_test_i() -> np.ndarray:
    return np.arange(N) % 3 == 0


def check(found: Overlap, f_its: np.ndarray, labels: Labels, is_test_i: np.ndarray) -> None:
    """Compare with the counts of all patches (i, t) of the proposal half at the same and at all other thresholds."""
    assert labels.patch_numbers is not None
    assert found.iou.shape == found.threshold.shape == (D_SAE, 3)
    y = labels.patch_numbers[~is_test_i]
    for latent in range(D_SAE):
        own = f_its[~is_test_i][:, :, latent][y != NO_LABEL]
        for label in range(3):
            has = y[y != NO_LABEL] == label
            ious = {t: ((own > t) & has).sum() / ((own > t) | has).sum() for t in (0, *own[own > 0])}
            assert found.iou[latent, label] == pytest.approx(max(ious.values()))
            assert ious[found.threshold[latent, label]] == pytest.approx(max(ious.values()))


def test_scores_and_thresholds_equal_plain_counting(
    shards: Path, sae: TopK, labels: Labels, is_test_i: np.ndarray
) -> None:
    codes = saev.encode(sae, shards)
    check(best_ious(codes, labels, is_test_i), codes.of_images(range(N)).dense(), labels, is_test_i)


def test_other_tokens_than_patches_do_not_count(shards: Path, sae: TopK, labels: Labels, is_test_i: np.ndarray) -> None:
    codes = saev.encode(sae, shards, tokens="all")
    check(best_ious(codes, labels, is_test_i), codes.of_images(range(N)).dense()[:, 1:], labels, is_test_i)


def test_the_test_half_says_nothing(shards: Path, sae: TopK, labels: Labels, is_test_i: np.ndarray) -> None:
    codes = saev.encode(sae, shards)
    assert labels.patch_numbers is not None
    other = labels.patch_numbers.copy()
    other[is_test_i] = 2
    one, two = (best_ious(codes, of, is_test_i) for of in (labels, replace(labels, patch_numbers=other)))
    assert np.array_equal(one.threshold, two.threshold)
    assert np.array_equal(one.iou, two.iou)


def test_a_latent_that_fires_on_a_label_alone_is_found(make_shards: MakeShards, is_test_i: np.ndarray) -> None:
    labels = torch.arange(N * T).remainder(3).to(torch.uint8).reshape(N, T)
    acts = torch.zeros(N, T + 1, 8)
    acts[:, 1:].scatter_(2, labels.long().unsqueeze(2), 5.0)
    shards = make_shards(N, grid=(2, 3), labels=labels, acts=acts, images="6" * 64)[0]
    sae = TopK(8, 8, k=1)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(8))
        sae.b_enc.zero_()
    codes, known = saev.encode(sae, shards), Labels.of(open_shards(shards))
    found = best_ious(codes, known, is_test_i)
    assert np.array_equal(found.iou[:3], np.eye(3))
    assert not found.iou[3:].any()
