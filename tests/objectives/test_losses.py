import pytest
import torch

from saev.nn import ReLU, TopK
from saev.nn.initialization import initialize_from_data, set_normalization
from saev.objectives import AuxK, auxk_loss, step_losses


def test_auxk_is_zero_without_dead_latents_but_keeps_the_graph() -> None:
    h = torch.randn(5, 8, requires_grad=True)
    loss = auxk_loss(torch.randn(5, 4), h, torch.randn(8, 4), torch.zeros(8, dtype=torch.bool), 3)
    assert loss.item() == 0
    loss.backward()
    assert h.grad is not None and h.grad.abs().max() == 0


def test_auxk_against_a_loop() -> None:
    torch.manual_seed(0)
    residual, h, w = torch.randn(6, 4), torch.randn(6, 8), torch.randn(8, 4)
    dead = torch.tensor([1, 0, 1, 1, 0, 0, 1, 1], dtype=torch.bool)
    e_hat = torch.zeros(6, 4)
    for row in range(6):
        for latent in sorted(dead.nonzero().flatten().tolist(), key=lambda s: -h[row, s].item())[:3]:
            e_hat[row] += max(h[row, latent].item(), 0.0) * w[latent]
    expected = (residual - e_hat).square().sum() / residual.square().sum()
    torch.testing.assert_close(auxk_loss(residual, h, w, dead, 3), expected)
    # With fewer dead latents than k_aux the loss shrinks in proportion.
    all_five = auxk_loss(residual, h, w, dead, 5)
    torch.testing.assert_close(auxk_loss(residual, h, w, dead, 10), all_five / 2)


def test_auxk_trains_dead_latents_only() -> None:
    sae = TopK(4, d_sae=16, k=2)
    h = sae.pre_activations(torch.randn(20, 4))
    dead = torch.arange(16) < 6
    auxk_loss(torch.randn(20, 4), h, sae.W_dec, dead, 4).backward()
    assert sae.W_dec.grad is not None
    assert sae.W_dec.grad[6:].abs().max() == 0
    assert sae.W_dec.grad[:6].abs().max() > 0


@pytest.mark.parametrize("sae", [TopK(8, d_sae=32, k=4), ReLU(8, d_sae=32, l1_coeff=0.3)])
def test_gradients_are_right_in_float64(sae: TopK | ReLU) -> None:
    sae = sae.double()
    x = torch.randn(12, 8, dtype=torch.float64)
    dead = torch.arange(32) < 10
    weight = sae.W_enc

    def loss() -> torch.Tensor:
        return step_losses(sae, x, dead, AuxK(0.0, 4)).total

    loss().backward()
    assert weight.grad is not None
    direction = torch.randn_like(weight)
    eps = 1e-6
    with torch.no_grad():
        weight.add_(eps * direction)
        up = loss()
        weight.sub_(2 * eps * direction)
        down = loss()
    torch.testing.assert_close((up - down) / (2 * eps), (weight.grad * direction).sum(), rtol=1e-4, atol=1e-8)


def test_the_mse_is_close_to_the_fraction_of_variance_unexplained() -> None:
    x = 40 * torch.randn(2000, 8) + 7
    sae = TopK(8, d_sae=64, k=3)
    set_normalization(sae, x)
    initialize_from_data(sae, x, torch.Generator().manual_seed(0))
    losses = step_losses(sae, x, torch.zeros(64, dtype=torch.bool), AuxK(1 / 32, 4))
    fvu = (x - sae(x)).square().sum() / (x - x.mean(0)).square().sum()
    torch.testing.assert_close(losses.mse, fvu, rtol=1e-3, atol=0)
    assert losses.sparsity == 0 and losses.auxk == 0
    assert losses.total == losses.mse


def test_auxk_revives_dead_latents() -> None:
    """With AuxK a dictionary in which a few latents win everywhere comes to life, without it stays dead."""
    dead_at_end = []
    for coeff in (0.0, 1.0):
        torch.manual_seed(0)
        x = torch.randn(2048, 16)
        sae = TopK(16, d_sae=64, k=4)
        with torch.no_grad():
            sae.b_enc[:8] = 4
        optimizer = torch.optim.Adam(sae.parameters(), lr=0.01)
        for _ in range(300):
            optimizer.zero_grad()
            dead = (sae.encode(x) > 0).sum(0) == 0
            step_losses(sae, x, dead, AuxK(coeff, 16)).total.backward()
            optimizer.step()
            sae.normalize_decoder()
        dead_at_end.append(((sae.encode(x) > 0).sum(0) == 0).sum().item())
    assert dead_at_end[0] >= 20
    assert dead_at_end[1] < 10
