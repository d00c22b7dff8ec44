"""Active patches against labels of patches: equal to plain counting, thresholds from one half alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards

import saev
from saev.errors import InputError
from saev.latents.codes import Codes
from saev.latents.labels import Labels
from saev.nn import TopK
from saev.probing.pictures.patches import PatchScores, patch_scores
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


def check(found: PatchScores, f_its: np.ndarray, labels: Labels, is_test_i: np.ndarray) -> None:
    """Compare with counts of all patches (i, t) at the same thresholds, and these with all others."""
    assert labels.patch_numbers is not None
    for row, latent in enumerate(found.latents_l):
        for label in range(3):
            threshold = found.threshold_lj[row, label]
            for half, cells in ((~is_test_i, found.proposal), (is_test_i, found.test)):
                y = labels.patch_numbers[half]
                known, fires = y != NO_LABEL, f_its[half][:, :, latent] > threshold
                counted = [
                    (known & (fires == a) & ((y == label) == b)).sum()
                    for a, b in ((True, True), (True, False), (False, True), (False, False))
                ]
                assert [one[row, label] for one in (cells.tp, cells.fp, cells.fn, cells.tn)] == counted
            own, y = f_its[~is_test_i][:, :, latent], labels.patch_numbers[~is_test_i]
            own, y = own[y != NO_LABEL], y[y != NO_LABEL] == label
            ious = [((own > t) & y).sum() / ((own > t) | y).sum() for t in (0, *own[own > 0])]
            assert found.proposal.iou()[row, label] == pytest.approx(max(ious))


def test_counts_and_thresholds_equal_plain_counting(
    shards: Path, sae: TopK, labels: Labels, is_test_i: np.ndarray
) -> None:
    codes = saev.encode(sae, shards)
    latents = [*range(20), 5]
    found = patch_scores(codes, labels, latents, is_test_i)
    assert found.names == ["label 0", "label 1", "label 2"]
    assert found.latents_l.tolist() == latents
    check(found, codes.of_images(range(N)).dense(), labels, is_test_i)
    assert patch_scores(codes, labels, [], is_test_i).test.iou().shape == (0, 3)


def test_other_tokens_than_patches_do_not_count(shards: Path, sae: TopK, labels: Labels, is_test_i: np.ndarray) -> None:
    codes = saev.encode(sae, shards, tokens="all")
    found = patch_scores(codes, labels, range(D_SAE), is_test_i)
    check(found, codes.of_images(range(N)).dense()[:, 1:], labels, is_test_i)


def test_the_test_half_chooses_nothing(shards: Path, sae: TopK, labels: Labels, is_test_i: np.ndarray) -> None:
    codes = saev.encode(sae, shards)
    assert labels.patch_numbers is not None
    other = labels.patch_numbers.copy()
    other[is_test_i] = 2
    one = patch_scores(codes, labels, range(D_SAE), is_test_i)
    two = patch_scores(codes, replace(labels, patch_numbers=other), range(D_SAE), is_test_i)
    assert np.array_equal(one.threshold_lj, two.threshold_lj)
    assert np.array_equal(one.proposal.iou(), two.proposal.iou())
    assert not np.array_equal(one.test.iou(), two.test.iou())


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
    found = patch_scores(codes, known, range(4), is_test_i)
    assert np.array_equal(found.test.iou()[:3], np.eye(3))
    assert found.test.mcc()[1, 1] == 1
    assert not found.test.iou()[3].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"patch_numbers": None}}, "no patch labels were recorded: record pictures with masks"),
        (
            {"labels": {"patch_numbers": np.zeros((N, 4), np.uint8)}},
            r"patch labels of shape \(40, 4\) for codes of \(40, 6\): give those of the same recording",
        ),
        (
            {"labels": {"patch_numbers": np.full((N, T), NO_LABEL, np.uint8)}},
            "the proposal half has no labelled patch: label or record more pictures",
        ),
        ({"is_test_i": np.zeros(N, np.bool_)}, "the test half has no labelled patch"),
        ({"is_test_i": np.zeros(7, np.bool_)}, r"halves of shape \(7,\) for codes of \(40,\): give those of the same"),
        ({"latents": [24]}, r"latents \[24\]: there are latents 0 to 23"),
        ({"tokens": "cls"}, r"the codes are of cls tokens, no patches: encode content tokens"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    shards: Path, sae: TopK, labels: Labels, is_test_i: np.ndarray, change: dict[str, Any], message: str
) -> None:
    codes: Codes = saev.encode(sae, shards, tokens=change.get("tokens"))
    given = replace(labels, **change.get("labels", {}))
    with pytest.raises(InputError, match=message):
        patch_scores(codes, given, change.get("latents", [1]), change.get("is_test_i", is_test_i))
