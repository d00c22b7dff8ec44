"""Which labels stand beside latents: those that tell most, among those that are no chance."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards

from saev.errors import InputError
from saev.gallery.data import BestLabels
from saev.gallery.labels import LatentLabels
from saev.latents.encoding import Encoding
from saev.latents.labels import Labels
from saev.latents.metadata import Column
from saev.latents.survey import survey_images
from saev.nn import TopK
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection

N, D = 40, 4


def identity(d: int) -> TopK:
    """An SAE whose latents are the coordinates."""
    sae = TopK(d, d, k=d)
    with torch.no_grad():
        sae.W_dec.copy_(torch.eye(d))
        sae.W_enc.copy_(torch.eye(d))
    return sae


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    """Forty pictures: all have label 0, the first twelve label 1 on two of six patches.

    Latent 0 fires on all patches; latent 1 in the first twelve on one patch of each label; latent 2 on every patch of
    one picture, with label 1; latent 3 never.
    """
    labels = torch.zeros(N, 6, dtype=torch.uint8)
    labels[:12, :2] = 1
    acts = torch.zeros(N, 7, D)  # CLS first
    acts[:, 1:, 0] = 1
    acts[:12, 2:4, 1] = 1
    acts[0, 1:3, 2] = 1
    return make_shards(N, d_model=D, acts=acts, labels=labels, images="1" * 64)[0]


def found(shards: Path, **columns: list[int]) -> dict[str, BestLabels]:
    reader = open_shards(shards)
    table = [Column(name, ["a", "b"], np.array(numbers)) for name, numbers in columns.items()]
    labels = Labels.of(reader, table)
    tokens = TokenSelection.of([reader], np.arange(N), "content")
    survey = survey_images({"": Encoding(identity(D), tokens)}, tokens.examples, labels)[""]
    return {one.kind: one for one in LatentLabels(survey, labels).best()}


def test_the_label_that_tells_most_is_not_the_most_frequent_one(shards: Path) -> None:
    patches = next(iter(found(shards).values()))
    assert patches.kind == "patches"
    assert patches.labels.keys() == {1}  # what fires everywhere has none, and neither has what fires in one picture
    one = patches.labels[1]
    assert (one.label, one.count, one.purity) == ("label 1", 12, 0.5)
    assert one.lift == pytest.approx(0.5 * 6 * N / 24)
    assert one.q < 1e-6


def test_columns_of_a_table_are_kinds_of_labels(shards: Path) -> None:
    kinds = found(shards, site=[0] * 12 + [1] * 20 + [-1] * 8, coin=[0, 1] * 20)
    assert [*kinds] == ["patches", "images", "site", "coin"]
    assert {latent: (one.label, one.count, one.purity) for latent, one in kinds["site"].labels.items()} == {
        1: ("a", 12, 1.0)
    }
    assert kinds["coin"].labels == {}


def test_numbers_are_not_counted(shards: Path) -> None:
    labels = Labels.of(open_shards(shards), [Column("wing", ["1", "2", "3.5"], np.arange(N) % 3)])
    assert labels.counted == []


def test_a_table_that_does_not_fit_is_refused(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.latents.survey.labels.MAX_LABEL_BYTES", 31)
    with pytest.raises(InputError, match="2 labels of 4 latents take 32 bytes"):
        found(shards, site=[0, 1] * 20)
