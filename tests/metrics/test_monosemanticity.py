import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cosine_similarity

from saev.metrics import Monosemanticity
from saev.metrics.monosemanticity import monosemanticity_scores, monosemanticity_sums


def images(n: int, d_sae: int = 6, width: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(n)
    a = torch.rand(n, d_sae, generator=rng) * (torch.rand(n, d_sae, generator=rng) > 0.4)
    return a, 3 * torch.randn(n, width, generator=rng) + 1


def brute_force(a: torch.Tensor, e: torch.Tensor) -> float:
    """The weighted mean over all pairs of images, in double precision."""
    n, m = torch.combinations(torch.arange(len(a))).T
    weights = a[n].double() * a[m].double() / a.double().max().square() if a.max() > 0 else torch.zeros(len(n))
    cosines = cosine_similarity(e[n].double(), e[m].double(), dim=1)
    return (weights @ cosines / weights.sum()).item() if weights.sum() > 0 else math.nan


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_the_linear_form_is_the_mean_over_all_pairs(sizes: list[int]) -> None:
    a, e = images(sum(sizes))
    metric = Monosemanticity(6, 4)
    for a_part, e_part in zip(a.split(sizes), e.split(sizes), strict=True):
        metric.update(a_part, e_part)
    expected = torch.tensor([brute_force(a[:, k], e) for k in range(6)], dtype=torch.float64)
    scores = monosemanticity_scores(monosemanticity_sums(a, e))
    torch.testing.assert_close(scores, expected, equal_nan=True)
    values = metric.compute()
    scored = expected[expected.isfinite()]
    torch.testing.assert_close(values["monosemanticity"], scored.mean(), equal_nan=True)
    assert values["monosemanticity_scored"].item() == pytest.approx(len(scored) / 6)
    if len(scored):
        torch.testing.assert_close(values["monosemanticity_best"], scored.max())
    if len(a) > 1:
        baseline = brute_force(torch.ones(len(a)), e)
        assert values["monosemanticity_baseline"].item() == pytest.approx(baseline, abs=1e-9)


def test_one_strong_image_does_not_drown_the_others() -> None:
    e = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    a = torch.tensor([[1.0], [1e-6], [0.0]])
    assert monosemanticity_scores(monosemanticity_sums(a, e)).item() == pytest.approx(0.6, rel=1e-6)


def test_latents_that_fire_on_fewer_than_two_images_have_no_score() -> None:
    metric = Monosemanticity(3, 2)
    metric.update(torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    values = {name: value.item() for name, value in metric.compute().items()}
    assert values == {
        "monosemanticity": 0,
        "monosemanticity_best": 0,
        "monosemanticity_baseline": 0,
        "monosemanticity_scored": pytest.approx(1 / 3),
    }
    metric.reset()
    metric.update(torch.zeros(2, 3), torch.ones(2, 2))
    assert math.isnan(metric.compute()["monosemanticity_best"])
    assert metric.compute()["monosemanticity_scored"] == 0
