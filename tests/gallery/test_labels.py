"""Which labels stand beside latents: those that tell most, among those that are no chance."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import MakeShards

from saev.errors import InputError
from saev.gallery.label_counts import BestLabels, LabelCount
from saev.gallery.labels import LatentLabels
from saev.latents.encoding import Encoding
from saev.latents.labels import Labels
from saev.latents.metadata import Column
from saev.latents.survey import survey_images
from saev.nn import TopK
from saev.probing.statistics.scores import average_precision
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
    assert (one.label, one.count, one.purity) == ("label 1", 12, 0.5)  # all are equally strong
    assert one.lift == pytest.approx(0.5 * 6 * N / 24)
    assert one.q < 1e-6
    assert (one.precision, one.prevalence) == (1, 12 / N)


def test_columns_of_a_table_are_kinds_of_labels(shards: Path) -> None:
    kinds = found(shards, site=[0] * 12 + [1] * 20 + [-1] * 8, coin=[0, 1] * 20)
    assert [*kinds] == ["patches", "images", "site", "coin"]
    assert {latent: (one.label, one.count, one.purity) for latent, one in kinds["site"].labels.items()} == {
        1: ("a", 12, 1.0)
    }
    assert kinds["coin"].labels == {}


def test_the_strongest_tenth_equals_brute_force(make_shards: MakeShards) -> None:
    """Latents from rare to dense, some of whose values tie, on patches of which a few have no label."""
    rng, n, d = np.random.default_rng(0), 90, 8
    f = np.maximum(rng.normal(size=(n, 6, d)) - np.linspace(-1, 3, d), 0).round(1)
    patch_labels = rng.choice([0, 0, 0, 0, 1, 2, 255], (n, 6)).astype(np.uint8)
    f[..., 5] += 2 * (f[..., 5] > 0) * (patch_labels == 1)  # strong on label 1 alone
    f[..., 1] = np.where(patch_labels == 0, 3 + f[..., 1], f[..., 1] / 9)  # and on the background
    site = rng.integers(-1, 3, n)
    acts = np.concatenate([np.zeros((n, 1, d)), f], axis=1)
    directory, _ = make_shards(
        n, d_model=d, acts=torch.from_numpy(acts).float(), labels=torch.from_numpy(patch_labels), images="2" * 64
    )
    reader = open_shards(directory)
    labels = Labels.of(reader, [Column("site", ["a", "b", "c"], site)])
    tokens = TokenSelection.of([reader], np.arange(n), "content")
    survey = survey_images({"": Encoding(identity(d), tokens)}, tokens.examples, labels)[""]
    given, f = LatentLabels(survey, labels), f.astype(np.float32)
    assert given.best()[0].labels[5].label == "label 1"
    assert given.best()[0].labels[1].label == "label 0"  # all pictures have it: its place in them tells
    for latent in range(d):
        f_ic, best_i = f[..., latent], f[..., latent].max(1)
        on_patches = {number: (patch_labels == number).any(1) for number in range(3)}
        rows, patches = np.nonzero((f_ic > 0) & (patch_labels != 255))
        strong = strongest([(f_ic[i, c], i, patch_labels[i, c]) for i, c in zip(rows, patches, strict=True)])
        everything = [patch_labels[i, c] for i, c in zip(rows, patches, strict=True)]
        check(given.of_patches(latent), strong, everything, patch_labels[patch_labels != 255], on_patches, best_i)
        fires = np.flatnonzero(best_i)
        strong = [one for one in strongest([(best_i[i], i, site[i]) for i in fires]) if one >= 0]
        known = site >= 0
        has = {number: site[known] == number for number in range(3)}
        everything = [site[i] for i in fires if known[i]]
        check(given.of_columns(latent)["site"], strong, everything, site[known], has, best_i[known])


def strongest(fires: list[tuple[float, int, int]]) -> list[int]:
    """Labels of the strongest tenth of (value, picture, label): from four pictures, with all that tie."""
    fires = sorted(fires, key=lambda one: (-one[0], one[1]))
    n = -(-len(fires) // 10)
    while n < len(fires) and len({picture for _, picture, _ in fires[:n]}) < 4:
        n += 1
    return [label for value, _, label in fires if n and value >= fires[n - 1][0]]


def check(
    found: list[LabelCount],
    strong: list[int],
    everything: list[int],
    base: np.ndarray,
    has: dict[int, np.ndarray],
    best_i: np.ndarray,
) -> None:
    counts = {number: strong.count(number) for number in range(3) if number in strong}
    assert sorted(one.count for one in found) == sorted(counts.values())
    for one in found:
        number = "abc".index(one.label) if one.label in "abc" else int(one.label[-1])
        assert one.count == counts[number]
        assert one.purity == pytest.approx(counts[number] / len(strong))
        assert one.lift == pytest.approx(counts[number] / len(strong) / (base == number).mean())
        assert one.overall == pytest.approx(everything.count(number) / len(everything))
        assert one.prevalence == pytest.approx(has[number].mean())
        assert one.precision == pytest.approx(average_precision(best_i, has[number]), rel=1e-6)


def test_numbers_are_not_counted(shards: Path) -> None:
    labels = Labels.of(open_shards(shards), [Column("wing", ["1", "2", "3.5"], np.arange(N) % 3)])
    assert labels.counted == []


def test_a_table_that_does_not_fit_is_refused(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.latents.survey.labels.MAX_LABEL_BYTES", 31)
    with pytest.raises(InputError, match="2 labels of 4 latents take 32 bytes"):
        found(shards, site=[0, 1] * 20)
