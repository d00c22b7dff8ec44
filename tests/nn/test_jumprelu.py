"""Gradients of JumpReLU against the formulas of its straight-through estimator.

Shape suffixes: b = tokens, s = latents.
"""

import pytest
import torch
from torch import Tensor

from saev.nn import JumpReLU, Progress
from saev.nn.jumprelu import PACE
from saev.training.initialization import initialize_from_data

BANDWIDTH, COEFF = 0.8, 0.6


def make_sae(penalty: str) -> tuple[JumpReLU, Tensor]:
    torch.manual_seed(0)
    sae = JumpReLU(5, d_sae=12, l0_coeff=COEFF, penalty=penalty, bandwidth=BANDWIDTH, threshold=0.7)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.add_((0.01 if parameter is sae.log_threshold else 0.1) * torch.randn_like(parameter))
    return sae.double(), 2 * torch.randn(30, 5, dtype=torch.float64)


def test_codes_are_the_pre_activations_above_the_thresholds() -> None:
    sae, z = make_sae("l0")
    h = sae.pre_activations(z)
    threshold = sae.thresholds()
    for latent in range(12):
        expected = [value if value > threshold[latent] else 0 for value in h[:, latent].tolist()]
        assert sae.codes(z)[:, latent].tolist() == expected


@pytest.mark.parametrize("penalty", ["l0", "tanh"])
def test_all_gradients_but_those_of_thresholds_are_exact(penalty: str) -> None:
    """Finite differences tell them: no pre-activation is so near to its threshold that it would cross it."""
    sae, z = make_sae(penalty)
    names = ["W_enc", "b_enc", "W_dec", "b_dec"]

    def loss() -> Tensor:
        found = sae.training_pass(z, Progress())
        # The number of active latents is flat, and has no gradient here.
        return found.reconstruction + (0 if penalty == "l0" else found.sparsity)

    loss().backward()
    for name in names:
        weight = sae.get_parameter(name)
        direction = torch.randn_like(weight)
        assert weight.grad is not None
        values = []
        with torch.no_grad():
            for eps in (1e-7, -2e-7):
                weight.add_(eps * direction)
                values.append(loss())
            weight.add_(1e-7 * direction)
        torch.testing.assert_close(
            (values[0] - values[1]) / 2e-7, (weight.grad * direction).sum(), rtol=1e-5, atol=1e-8
        )


@pytest.mark.parametrize("penalty", ["l0", "tanh"])
def test_thresholds_learn_from_what_is_near(penalty: str) -> None:
    sae, z = make_sae(penalty)
    found = sae.training_pass(z, Progress(sparsity=0.5))
    (found.reconstruction + found.sparsity).backward()
    with torch.no_grad():
        h, theta = sae.pre_activations(z), sae.thresholds()
        f = h * (h > theta)
        near = ((h - theta).abs() < BANDWIDTH / 2).double()
        to_f = (2 / (30 * 5)) * (f @ sae.W_dec + sae.b_dec - z) @ sae.W_dec.T
        scale = 0.5 / (30 * 5)
        if penalty == "l0":
            to_theta = -scale * COEFF * near.sum(0) / BANDWIDTH
        else:
            to_f += scale * COEFF * 4 * (1 - (4 * f).tanh().square())
            to_theta = scale * 3e-6 * (h < theta).sum(0)
        to_theta = to_theta - (theta / BANDWIDTH) * (to_f * near).sum(0)
    assert near.any() and not near.all()
    torch.testing.assert_close(sae.log_threshold.grad, to_theta * theta * PACE)


def test_the_penalties_are_as_written() -> None:
    for penalty in ("l0", "tanh"):
        sae, z = make_sae(penalty)
        h, theta, f = sae.pre_activations(z), sae.thresholds(), sae.codes(z)
        if penalty == "l0":
            expected = COEFF * (f > 0).double().sum() / 30 / 5
        else:
            expected = (COEFF * (4 * f).tanh().sum() + 3e-6 * (theta - h).clamp_min(0).sum()) / 30 / 5
        torch.testing.assert_close(sae.training_pass(z, Progress()).sparsity, expected)


def test_thresholds_start_on_the_scale_of_the_encoders() -> None:
    sae = JumpReLU(5, d_sae=12, threshold=3.0)
    torch.testing.assert_close(sae.thresholds(), torch.full((12,), 3.0))
    sae.reset_latents(torch.tensor([2]), torch.eye(5)[:1], torch.tensor(0.5))
    torch.testing.assert_close(sae.thresholds()[1:4], torch.tensor([3.0, 1.5, 3.0]))


def test_a_start_from_data_is_sparse() -> None:
    """Tokens that are nearly the same would make all latents active that start from them."""
    x = torch.ones(400, 16) + 0.3 * torch.randn(400, 16, generator=torch.Generator().manual_seed(0))
    sae = JumpReLU(16, d_sae=320)
    initialize_from_data(sae, x, torch.Generator().manual_seed(0))
    l0 = (sae.encode(x) > 0).sum(1).double().mean()
    assert 15 < l0 < 25
    thresholds = sae.thresholds()
    sae.reset_latents(torch.tensor([2]), torch.eye(16)[:1])
    torch.testing.assert_close(sae.thresholds(), thresholds)
