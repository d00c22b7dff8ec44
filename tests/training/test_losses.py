import pytest
import torch

from saev.nn import JumpReLU, Progress, ReLU, TopK
from saev.training import AuxK, auxk_loss, step_losses
from saev.training.initialization import initialize_from_data, set_normalization


def test_auxk_against_a_loop() -> None:
    torch.manual_seed(0)
    residual, h, w = torch.randn(6, 4), torch.randn(6, 5), torch.randn(5, 4)
    e_hat = torch.zeros(6, 4)
    for row in range(6):
        for latent in sorted(range(5), key=lambda s: -h[row, s].item())[:3]:
            e_hat[row] += max(h[row, latent].item(), 0.0) * w[latent]
    expected = (residual - e_hat).square().sum() / residual.square().sum()
    torch.testing.assert_close(auxk_loss(residual, h, w, 3), expected)
    # With fewer dead latents than k_aux the loss shrinks in proportion.
    torch.testing.assert_close(auxk_loss(residual, h, w, 10), auxk_loss(residual, h, w, 5) / 2)


def test_auxk_of_a_perfect_reconstruction_is_finite() -> None:
    h = torch.randn(6, 5, requires_grad=True)
    loss = auxk_loss(torch.zeros(6, 4), h, torch.randn(5, 4), 3)
    loss.backward()
    assert loss.isfinite() and h.grad is not None and h.grad.isfinite().all()


def test_auxk_trains_dead_latents_only() -> None:
    sae = TopK(4, d_sae=16, k=2)
    dead = torch.arange(16) < 6
    x = torch.randn(20, 4)
    step_losses(sae, x, dead.nonzero().squeeze(-1), AuxK(1.0, 4)).auxk.backward()
    for grad_sd in (sae.W_dec.grad, sae.W_enc.grad.T if sae.W_enc.grad is not None else None):
        assert grad_sd is not None
        assert grad_sd[6:].abs().max() == 0
        assert grad_sd[:6].abs().max() > 0
    assert sae.b_dec.grad is None


@pytest.mark.parametrize("aux", [AuxK(0.0, 4), AuxK(1.0, 4)])
def test_without_dead_latents_or_without_a_coefficient_there_is_no_auxk(aux: AuxK) -> None:
    sae = TopK(4, d_sae=16, k=2)
    dead_a = torch.arange(16 if aux.coeff == 0 else 0)
    losses = step_losses(sae, torch.randn(20, 4), dead_a, aux)
    assert losses.auxk == 0 and not losses.auxk.requires_grad
    assert losses.total == losses.architecture.reconstruction


@pytest.mark.parametrize(
    "sae", [ReLU(8, d_sae=32, l1_coeff=0.3), JumpReLU(8, d_sae=32, threshold=0.5)], ids=["ReLU", "JumpReLU"]
)
def test_the_total_is_the_sum_of_the_parts(sae: ReLU | JumpReLU) -> None:
    x = torch.randn(30, 8)
    losses = step_losses(sae, x, torch.arange(9), AuxK(0.25, 4), Progress(sparsity=0.5))
    assert losses.architecture.sparsity > 0 and losses.auxk > 0
    torch.testing.assert_close(
        losses.total, losses.architecture.reconstruction + losses.architecture.sparsity + losses.auxk
    )
    doubled = step_losses(sae, x, torch.arange(9), AuxK(0.5, 4), Progress(sparsity=1.0))
    torch.testing.assert_close(doubled.auxk, 2 * losses.auxk)
    torch.testing.assert_close(doubled.architecture.sparsity, 2 * losses.architecture.sparsity)


def test_the_mse_is_close_to_the_fraction_of_variance_unexplained() -> None:
    x = 40 * torch.randn(2000, 8) + 7
    sae = TopK(8, d_sae=64, k=3)
    set_normalization(sae, x)
    initialize_from_data(sae, x, torch.Generator().manual_seed(0))
    losses = step_losses(sae, x, torch.arange(0), AuxK(1 / 32, 4))
    fvu = (x - sae(x)).square().sum() / (x - x.mean(0)).square().sum()
    torch.testing.assert_close(losses.architecture.reconstruction, fvu, rtol=1e-3, atol=0)
    assert losses.architecture.sparsity == 0 and losses.auxk == 0


def test_auxk_revives_dead_latents() -> None:
    """With AuxK a dictionary in which a few latents win everywhere comes to life, without it stays dead."""
    dead_at_end = []
    for coeff in (0.0, 1.0):
        torch.manual_seed(0)
        x = torch.randn(512, 16)
        sae = TopK(16, d_sae=64, k=4)
        with torch.no_grad():
            sae.b_enc[:8] = 4
        optimizer = torch.optim.Adam(sae.parameters(), lr=0.01)
        for _ in range(300):
            optimizer.zero_grad()
            dead_a = (sae.encode(x) > 0).sum(0).eq(0).nonzero().squeeze(-1)
            step_losses(sae, x, dead_a, AuxK(coeff, 16)).total.backward()
            optimizer.step()
            sae.constrain()
        dead_at_end.append(((sae.encode(x) > 0).sum(0) == 0).sum().item())
    assert dead_at_end[0] >= 20
    assert dead_at_end[1] < 10
