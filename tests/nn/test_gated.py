"""Gated SAEs against their equations, by plain autograd in float64.

Shape suffixes: b = tokens, s = latents.
"""

import torch
from torch import Tensor

from saev.nn import Gated, Progress


def make_sae() -> tuple[Gated, Tensor]:
    torch.manual_seed(0)
    sae = Gated(5, d_sae=12, l1_coeff=0.7)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return sae.double(), 2 * torch.randn(30, 5, dtype=torch.float64)


def magnitudes(sae: Gated, z: Tensor) -> Tensor:
    """As in the paper: weights of the gate, each latent's times e^r."""
    return (z @ (sae.W_enc * sae.r_mag.exp()) + sae.b_mag).clamp_min(0)


def test_codes_are_magnitudes_where_the_gate_is_open() -> None:
    sae, z = make_sae()
    gate = z @ sae.W_enc + sae.b_enc
    expected = magnitudes(sae, z) * (gate > 0)
    torch.testing.assert_close(sae.codes(z), expected)
    both = (gate > 0) & (magnitudes(sae, z) > 0)
    assert (both != (gate > 0)).any() and (both != (magnitudes(sae, z) > 0)).any()


def test_the_loss_and_its_gradients() -> None:
    sae, z = make_sae()
    gate = z @ sae.W_enc + sae.b_enc
    f = magnitudes(sae, z) * (gate.detach() > 0)
    reconstruction = (f @ sae.W_dec + sae.b_dec - z).square().sum() / 150
    frozen = (gate.clamp_min(0) @ sae.W_dec.detach() + sae.b_dec.detach() - z).square().sum() / 150
    sparsity = 0.5 * 0.7 * gate.clamp_min(0).sum() / 30 / 5
    found = sae.training_pass(z, Progress(sparsity=0.5))
    torch.testing.assert_close(found.reconstruction, reconstruction + frozen)
    torch.testing.assert_close(found.sparsity, sparsity)
    parameters = dict(sae.named_parameters())
    expected = torch.autograd.grad(reconstruction + frozen + sparsity, list(parameters.values()))
    gradients = torch.autograd.grad(found.reconstruction + found.sparsity, list(parameters.values()))
    for name, gradient, wanted in zip(parameters, gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted, msg=lambda text, name=name: f"{name}: {text}")


def test_a_new_start_forgets_the_magnitudes() -> None:
    sae, _ = make_sae()
    sae.reset_latents(torch.tensor([4]), torch.eye(5, dtype=torch.float64)[:1])
    assert sae.r_mag[4] == 0 and sae.b_mag[4] == 0 and sae.b_enc[4] == 0
    assert sae.r_mag[3] != 0 and sae.b_mag[3] != 0
