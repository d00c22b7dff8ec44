from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.ranks import in_two_processes

from saev.metrics import CodeStatistics, Monosemanticity, ReconstructionQuality, fraction_of_variance_unexplained
from saev.metrics.codes import HISTOGRAM_EDGES, code_sums, frequency_histogram


def pair(n: int = 300, d: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(n, d) * torch.tensor([1, 10, 1000, 0.1, 3.0]) + 200
    return x, x + 0.3 * torch.randn(n, d) + 0.1


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5))
def test_batches_add_up_to_the_definition(sizes: list[int]) -> None:
    x, x_hat = pair(sum(sizes) + 2)
    metric = ReconstructionQuality(5)
    for x_part, hat_part in zip(x.split([*sizes, 2]), x_hat.split([*sizes, 2]), strict=True):
        metric.update(x_part, hat_part)
    x64, r = x.double(), x.double() - x_hat.double()
    variance = (x64 - x64.mean(0)).square().sum()
    values = metric.compute()
    torch.testing.assert_close(values["fvu"], r.square().sum() / variance)
    torch.testing.assert_close(values["explained_variance"], 1 - (r - r.mean(0)).square().sum() / variance)
    torch.testing.assert_close(values["fvu"], fraction_of_variance_unexplained(x, x_hat))
    hat64 = x_hat.double()
    norms = x64.norm(dim=-1) * hat64.norm(dim=-1)
    torch.testing.assert_close(values["cosine"], ((x64 * hat64).sum(-1) / norms).mean())
    c, c_hat = x64 - x64.mean(0), hat64 - x64.mean(0)
    torch.testing.assert_close(values["bias"], c_hat.square().sum() / (c * c_hat).sum())


def test_perfect_and_mean_reconstructions() -> None:
    x, _ = pair()
    assert fraction_of_variance_unexplained(x, x) == 0
    mean = x.double().mean(0).expand_as(x)
    torch.testing.assert_close(fraction_of_variance_unexplained(x, mean).item(), 1.0, rtol=1e-6, atol=0)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5])
def test_the_bias_is_the_factor_that_the_reconstruction_is_too_short_or_too_long_by(factor: float) -> None:
    x, _ = pair()
    mean = x.double().mean(0)
    metric = ReconstructionQuality(5)
    metric.update(x, mean + factor * (x - mean))
    assert metric.compute()["bias"].item() == pytest.approx(factor, rel=1e-6)


def test_noise_alone_is_no_shrinkage_but_the_best_fit_to_it_is() -> None:
    """The bias minimises the error of x_hat / bias, which its definition says and a search finds."""
    x, x_hat = pair()
    x_hat = x_hat + 200 * torch.randn(x_hat.shape, generator=torch.Generator().manual_seed(1))
    metric = ReconstructionQuality(5)
    metric.update(x, x_hat)
    c, c_hat = x.double() - x.double().mean(0), x_hat.double() - x.double().mean(0)
    factors = torch.linspace(0.5, 2, 3001, dtype=torch.float64)
    errors = torch.stack([(c_hat / factor - c).square().sum() for factor in factors])
    assert metric.compute()["bias"].item() == pytest.approx(factors[errors.argmin()].item(), abs=1e-3)


def test_the_cosine_is_of_raw_activations() -> None:
    metric = ReconstructionQuality(2)
    metric.update(torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 5.0], [0.0, 0.1]]))
    assert metric.compute()["cosine"].item() == pytest.approx(0.5)


def test_offset_costs_fvu_but_not_explained_variance() -> None:
    x, _ = pair()
    metric = ReconstructionQuality(5)
    metric.update(x, x + 1000.0)
    values = metric.compute()
    assert values["fvu"] > 0.5
    assert values["explained_variance"] > 0.999


def test_code_statistics() -> None:
    metric = CodeStatistics(4)
    metric.update(torch.tensor([[1.0, 0.0, 0.0, 2.0], [0.5, 0.0, 0.0, 0.0]]))
    metric.update(torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 18))
    values = {name: value.item() for name, value in metric.compute().items()}
    assert values == {
        "l0": pytest.approx(21 / 20),
        "l1": pytest.approx(21.5 / 20),
        "dead": 0.5,
        "almost_dead": 0.5,
        "dense": 0.25,
        "dense_1pct": 0.5,
    }
    assert metric.histogram()[0] == 2
    assert metric.histogram()[-1] == 1
    assert sum(metric.histogram()) == 4
    metric.reset()
    metric.update(torch.zeros(1, 4))
    assert metric.compute()["dead"] == 1


def test_almost_dead_is_below_one_in_ten_million_and_counts_the_dead() -> None:
    metric = CodeStatistics(3)
    metric.update(torch.zeros(1, 3))
    metric.n += 19_999_999
    metric.fires_s += torch.tensor([0, 1, 2])
    values = metric.compute()
    assert values["dead"].item() == pytest.approx(1 / 3)
    assert values["almost_dead"].item() == pytest.approx(2 / 3)
    assert metric.histogram()[:4] == [1, 1, 1, 0]


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=30))
def test_the_histogram_counts_by_half_decades(fires: list[int]) -> None:
    sums = code_sums(torch.zeros(1000, len(fires)))._replace(fires_s=torch.tensor(fires))
    edges = [0.0, *HISTOGRAM_EDGES, 1.1]
    frequencies = [count / 1000 for count in fires if count]
    expected = [sum(low <= f < high for f in frequencies) for low, high in pairwise(edges)]
    assert frequency_histogram(sums).tolist() == [fires.count(0), *expected]


def test_half_precision_inputs_are_summed_in_double() -> None:
    x, x_hat = pair()
    metric = ReconstructionQuality(5)
    metric.update(x.bfloat16(), x_hat.bfloat16())
    expected = fraction_of_variance_unexplained(x.bfloat16().double(), x_hat.bfloat16().double())
    torch.testing.assert_close(metric.compute()["fvu"], expected)


def check_both() -> None:
    rank = torch.distributed.get_rank()
    x, x_hat = pair()
    whole_quality, whole_codes = ReconstructionQuality(5), CodeStatistics(5)
    quality, codes = ReconstructionQuality(5), CodeStatistics(5)
    mine = slice(0, 100) if rank == 0 else slice(100, 300)
    quality.update(x[mine], x_hat[mine])
    codes.update((x - 200).relu()[mine])
    whole_quality.update(x, x_hat)
    whole_codes.update((x - 200).relu())
    whole = {**_local(whole_quality), **_local(whole_codes)}
    mono, whole_mono = Monosemanticity(5, 5), Monosemanticity(5, 5)
    mono.update((x - 200).relu()[mine], x_hat[mine])
    whole_mono.update((x - 200).relu(), x_hat)
    whole |= _local(whole_mono)
    for name, value in {**quality.compute(), **codes.compute(), **mono.compute()}.items():
        torch.testing.assert_close(value, whole[name])
    assert codes.histogram() == whole_codes.histogram()
    # Synchronised for the moment only: what comes after adds to this process's own sums.
    assert codes.n == len(x[mine])


def _local(metric: ReconstructionQuality | CodeStatistics | Monosemanticity) -> dict[str, torch.Tensor]:
    metric._to_sync = False
    return metric.compute()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    in_two_processes(check_both, tmp_path)
