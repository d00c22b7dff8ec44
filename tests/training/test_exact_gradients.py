"""Losses and gradients of the architectures that select, AuxK included, against plain autograd on dense codes.

All in float64. Shape suffixes: b = tokens, d = d_in, s = d_sae, g = parts of the codes that reconstruct alone.
"""

from pathlib import Path

import pytest
import torch
from tests.nn.small_saes import D_IN, D_SAE, build
from tests.ranks import in_two_processes
from tests.triton_device import DEVICE
from torch import Tensor

from saev.nn import Archetypal, HierarchicalTopK, Matryoshka, Progress
from saev.nn.selecting import SelectingAutoencoder
from saev.nn.selection import PerBatch
from saev.training import AuxK, step_losses

CASES = (
    "Archetypal",
    "Archetypal-batch",
    "BatchTopK",
    "HierarchicalTopK",
    "Matryoshka",
    "Matryoshka-random",
    "Matryoshka-token",
    "TopK",
)
STEP = Progress(step=7, k=1.5)
AUX = AuxK(0.5, 3)
DEAD = torch.arange(D_SAE) % 3 == 0
DEAD_A = DEAD.nonzero().squeeze(-1)


def kept(sae: SelectingAutoencoder, h_bs: Tensor) -> Tensor:
    """The mask of the selected entries, by sorting."""
    k = round(sae.k * STEP.k)
    if isinstance(sae.selection, PerBatch):
        return h_bs >= h_bs.flatten().sort(descending=True).values[k * len(h_bs) - 1]
    return h_bs >= h_bs.sort(dim=1, descending=True).values[:, k - 1 : k]


def parts(sae: SelectingAutoencoder, f_bs: Tensor) -> list[Tensor]:
    """Which codes must reconstruct together: masks."""
    if isinstance(sae, Matryoshka):
        return [torch.arange(D_SAE).expand_as(f_bs) < size for size in [*sae._sizes(STEP.step).tolist(), D_SAE]]
    if isinstance(sae, HierarchicalTopK):
        largest = f_bs.sort(dim=1, descending=True).values
        return [f_bs >= largest[:, budget - 1 : budget] for budget in [*sae.budgets, D_SAE]]
    return [torch.ones_like(f_bs, dtype=torch.bool)]


def dense_loss(sae: SelectingAutoencoder, x_bd: Tensor) -> Tensor:
    z_bd = (x_bd - sae.mean_d) / sae.scale_d
    rows = sae.A_logits.softmax(1) @ sae.points + sae.deviation if isinstance(sae, Archetypal) else sae.W_dec
    h_bs = z_bd @ sae.W_enc + sae.b_enc
    f_bs = h_bs.clamp_min(0) * kept(sae, h_bs)
    errors = [((f_bs * part) @ rows + sae.b_dec - z_bd).square().mean() for part in parts(sae, f_bs)]
    residual_bd = (z_bd - f_bs @ rows - sae.b_dec).detach()
    aux_bs = h_bs.where(DEAD, torch.tensor(-torch.inf))
    chosen_bs = aux_bs >= aux_bs.sort(dim=1, descending=True).values[:, AUX.k - 1 : AUX.k]
    e_hat_bd = (h_bs.clamp_min(0) * chosen_bs) @ rows
    auxk = (residual_bd - e_hat_bd).square().sum() / (residual_bd.square().sum() + 1e-8 * residual_bd.numel())
    return sum(errors) / len(errors) + AUX.coeff * auxk


def gradients(sae: SelectingAutoencoder, loss: Tensor) -> dict[str, Tensor]:
    trained = {name: weight for name, weight in sae.named_parameters() if weight.requires_grad}
    return dict(zip(trained, torch.autograd.grad(loss, list(trained.values())), strict=True))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("block_bytes", [2**24, 4 * D_SAE * 7])
def test_exact(case: str, block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.nn.pre_activations.PRE_ACTIVATION_BYTES", {"cpu": block_bytes})
    sae = build(case, torch.float64).train()
    assert isinstance(sae, SelectingAutoencoder)
    x = 2 * torch.randn(50, D_IN, dtype=torch.float64)
    loss, expected = step_losses(sae, x, DEAD_A, AUX, STEP).total, dense_loss(sae, x)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    found, wanted = gradients(sae, loss), gradients(sae, expected)
    for name in wanted:
        assert wanted[name].any()
        torch.testing.assert_close(found[name], wanted[name], rtol=1e-10, atol=1e-14, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("case", CASES)
def test_screening_changes_no_more_than_rounding(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sae = build(case, torch.float32).train()
    assert isinstance(sae, SelectingAutoencoder)
    x = 2 * torch.randn(50, D_IN)
    results = []
    for pays in (False, True):
        monkeypatch.setattr("saev.nn.selecting.screening_pays", lambda *a, pays=pays: pays)
        loss = step_losses(sae, x, DEAD_A, AUX, STEP).total
        results.append(({"loss": loss}, gradients(sae, loss)))
    for exact, screened in zip(*results, strict=True):
        for name in exact:
            torch.testing.assert_close(screened[name], exact[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_exact_with_kernels(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    sae = build(case, torch.float64).train()
    assert isinstance(sae, SelectingAutoencoder)
    x = 2 * torch.randn(12, D_IN, dtype=torch.float64)  # the interpreter is slow
    expected = dense_loss(sae, x)
    wanted = gradients(sae, expected)
    monkeypatch.setattr("saev.nn.kernels.available_for", lambda tensor: True)
    sae.to(DEVICE)
    loss = step_losses(sae, x.to(DEVICE), DEAD_A.to(DEVICE), AUX, STEP).total
    torch.testing.assert_close(loss.cpu(), expected, rtol=1e-12, atol=0)
    for name, gradient in gradients(sae, loss).items():
        torch.testing.assert_close(gradient.cpu(), wanted[name], rtol=1e-10, atol=1e-14)


def check_both() -> None:
    rank = torch.distributed.get_rank()
    for case in CASES:
        sae = build(case, torch.float64).train()
        assert isinstance(sae, SelectingAutoencoder)
        x = 2 * torch.randn(50, D_IN, dtype=torch.float64)
        x[:25] *= 0.5
        mine = x[:25] if rank == 0 else x[25:]
        found = gradients(sae, step_losses(sae, mine, DEAD_A, AUX, STEP).total)
        wanted = gradients(sae, dense_loss(sae, x))
        for name, gradient in found.items():
            torch.distributed.all_reduce(gradient)
            torch.testing.assert_close(gradient / 2, wanted[name], rtol=1e-10, atol=1e-14)


@pytest.mark.slow
def test_the_mean_gradient_of_two_processes_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    in_two_processes(check_both, tmp_path)
