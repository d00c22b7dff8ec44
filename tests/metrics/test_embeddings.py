import pytest
import torch

from saev.errors import InputError
from saev.metrics import embedding_cosine, knn_agreement, probe_accuracies, probe_halves, recovered


def embeddings(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))


def neighbours(x: torch.Tensor, k: int) -> list[set[int]]:
    cosines = torch.nn.functional.cosine_similarity(x[:, None], x[None], dim=-1)
    return [set([j for j in row.argsort(descending=True).tolist() if j != i][:k]) for i, row in enumerate(cosines)]


@pytest.mark.parametrize("chunk_bytes", [1, 8 * 30 * 7, 2**27])
def test_agreement_is_the_share_of_common_neighbours(chunk_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.metrics.neighbours.COSINE_BYTES", chunk_bytes)
    before = embeddings(30)
    after = before + embeddings(30, 1)
    pairs = zip(neighbours(before, 4), neighbours(after, 4), strict=True)
    expected = sum(len(a & b) / 4 for a, b in pairs) / 30
    assert knn_agreement(before, after, 4) == pytest.approx(expected)
    assert 0.2 < expected < 0.9
    assert knn_agreement(before, 7 * before, 4) == 1


@pytest.mark.parametrize("k", [0, 30])
def test_there_must_be_so_many_neighbours(k: int) -> None:
    with pytest.raises(InputError, match=f"{k} neighbours among 30 images"):
        knn_agreement(embeddings(30), embeddings(30), k)


def test_cosine() -> None:
    before, after = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([[5.0, 0.0], [1.0, 0.0]])
    assert embedding_cosine(before, after) == 0.5


def test_the_halves_hold_half_of_each_class_and_nothing_twice() -> None:
    labels = ["a"] * 5 + [None] * 3 + ["b"] * 4 + ["lonely"]
    train, test = probe_halves(labels, seed=3)
    assert [labels[i] for i in train] == ["a", "a", "b", "b"]
    assert [labels[i] for i in test] == ["a", "a", "a", "b", "b"]
    assert not set(train) & set(test)
    assert probe_halves(labels, seed=3) == (train, test)
    assert any(probe_halves(labels, seed=seed) != (train, test) for seed in range(4, 9))


@pytest.mark.parametrize("labels", [[None] * 6, ["a"] * 6, ["a"] * 5 + ["b"], list("abcdef")])
def test_no_probe_without_two_classes_of_two_images(labels: list[str | None]) -> None:
    assert probe_halves(labels) == ([], [])


def test_the_probe_tells_classes_apart_and_is_lost_without_them() -> None:
    labels = ["left", "right"] * 40
    x = embeddings(80)
    x[::2, 0] -= 1000
    train, test = range(40), range(40, 80)
    test_labels = [labels[i] for i in test]
    accuracies = probe_accuracies(x[train], labels[:40], [x[test], 0 * x[test] + 9, -x[test]], test_labels)
    assert accuracies == [1.0, 0.5, 0.5]


def test_recovered() -> None:
    assert recovered(1, 1, 0.25) == 1
    assert recovered(1, 0.25, 0.25) == 0
    assert recovered(1, 0, 0.5) == -1
    assert recovered(0.7, 0.7, 0.7) is None
    assert recovered(0.7, 0.8, 0.9) is None
