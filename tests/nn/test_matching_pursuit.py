"""Matching pursuit against a loop over tokens, and its gradients against plain autograd, in float64.

Shape suffixes: b = tokens, s = latents.
"""

import pytest
import torch
from torch import Tensor

from saev.nn import MatchingPursuit, Progress
from saev.nn.matching_pursuit import pursue


def make_sae(k: int = 4) -> tuple[MatchingPursuit, Tensor]:
    torch.manual_seed(0)
    sae = MatchingPursuit(5, d_sae=12, k=k).double()
    with torch.no_grad():
        sae.W_dec.copy_(torch.nn.functional.normalize(torch.randn(12, 5, dtype=torch.float64)))
        sae.b_dec.copy_(torch.randn(5))
    return sae, 2 * torch.randn(30, 5, dtype=torch.float64)


def by_hand(sae: MatchingPursuit, z: Tensor) -> tuple[Tensor, Tensor]:
    """Codes (b, s) and residuals (b, d), on the graph."""
    codes, residuals = [], []
    for r in z - sae.b_dec:
        f = torch.zeros(12, dtype=torch.float64)
        for _ in range(sae.k):
            products = sae.W_dec @ r
            best = int(products.argmax())
            value = products[best].clamp_min(0)
            f = f + value * torch.eye(12, dtype=torch.float64)[best]
            r = r - value * sae.W_dec[best]
        codes.append(f)
        residuals.append(r)
    return torch.stack(codes), torch.stack(residuals)


# With many steps in few dimensions latents are found twice, and at last nothing more.
@pytest.mark.parametrize("k", [1, 4, 12])
def test_codes_residual_and_gradients(k: int) -> None:
    sae, z = make_sae(k)
    z.requires_grad_()
    codes, residuals = by_hand(sae, z)
    torch.testing.assert_close(sae.codes(z), codes)
    torch.testing.assert_close(sae.reconstruct(codes), z - residuals)
    found = sae.training_pass(z, Progress())
    torch.testing.assert_close(found.reconstruction, residuals.square().mean())
    torch.testing.assert_close(found.z_hat_bd, z - residuals)
    torch.testing.assert_close(found.l0, (codes > 0).sum() / 30, check_dtype=False)
    torch.testing.assert_close(found.l1, codes.sum() / 30)
    assert torch.equal(found.fired_s, (codes > 0).any(0))
    wanted = torch.autograd.grad(residuals.square().mean(), (sae.W_dec, sae.b_dec, z))
    gradients = torch.autograd.grad(found.reconstruction, (sae.W_dec, sae.b_dec, z))
    for gradient, expected in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_some_latents_are_found_twice() -> None:
    sae, z = make_sae(12)
    latents = pursue(z, sae.W_dec, 12, 30).latents_bk
    assert any(len(set(row)) < 12 for row in latents.tolist())


def test_blocks_change_nothing() -> None:
    sae, z = make_sae()
    for whole, cut in zip(pursue(z, sae.W_dec, 4, 30), pursue(z, sae.W_dec, 4, 7), strict=True):
        torch.testing.assert_close(whole, cut)


def test_codes_of_a_token_without_any_positive_product_are_zero() -> None:
    sae, _ = make_sae()
    with torch.no_grad():
        sae.W_dec.copy_(torch.eye(5, dtype=torch.float64)[0].expand(12, 5))
    z = sae.b_dec.detach() - torch.eye(5, dtype=torch.float64)[:1]
    assert not sae.codes(z).any()
    found = sae.training_pass(z, Progress())
    assert found.l0 == 0
    found.reconstruction.backward()
    assert sae.W_dec.grad is not None and not sae.W_dec.grad.any()
    torch.testing.assert_close(sae.b_dec.grad, 2 / 5 * (sae.b_dec - z[0]).detach())


def test_every_step_makes_the_error_smaller() -> None:
    errors = []
    for k in (1, 2, 4, 8):
        sae, z = make_sae(k)
        errors.append((sae.reconstruct(sae.codes(z)) - z).square().mean().item())
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.2 * errors[0]
