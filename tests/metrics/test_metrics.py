import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saev.metrics import CodeStatistics, ReconstructionQuality, fraction_of_variance_unexplained


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


def test_perfect_and_mean_reconstructions() -> None:
    x, _ = pair()
    assert fraction_of_variance_unexplained(x, x) == 0
    mean = x.double().mean(0).expand_as(x)
    torch.testing.assert_close(fraction_of_variance_unexplained(x, mean).item(), 1.0, rtol=1e-6, atol=0)


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
    assert values == {"l0": pytest.approx(21 / 20), "l1": pytest.approx(21.5 / 20), "dead": 0.5, "dense": 0.25}
    metric.reset()
    metric.update(torch.zeros(1, 4))
    assert metric.compute()["dead"] == 1


def test_half_precision_inputs_are_summed_in_double() -> None:
    x, x_hat = pair()
    metric = ReconstructionQuality(5)
    metric.update(x.bfloat16(), x_hat.bfloat16())
    expected = fraction_of_variance_unexplained(x.bfloat16().double(), x_hat.bfloat16().double())
    torch.testing.assert_close(metric.compute()["fvu"], expected)


def _in_process(rank: int, path: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    x, x_hat = pair()
    whole_quality, whole_codes = ReconstructionQuality(5), CodeStatistics(5)
    quality, codes = ReconstructionQuality(5), CodeStatistics(5)
    mine = slice(0, 100) if rank == 0 else slice(100, 300)
    quality.update(x[mine], x_hat[mine])
    codes.update((x - 200).relu()[mine])
    whole_quality.update(x, x_hat)
    whole_codes.update((x - 200).relu())
    whole = {**_local(whole_quality), **_local(whole_codes)}
    for name, value in {**quality.compute(), **codes.compute()}.items():
        torch.testing.assert_close(value, whole[name])
    torch.distributed.destroy_process_group()


def _local(metric: ReconstructionQuality | CodeStatistics) -> dict[str, torch.Tensor]:
    metric._to_sync = False
    return metric.compute()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch.multiprocessing.spawn(_in_process, args=(str(tmp_path / "store"),), nprocs=2)
