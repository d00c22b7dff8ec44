"""Dictionaries that stay close to the data.

Shape suffixes: p = data points, d = width, s = latents.
"""

import pytest
import torch

from saev.nn import Archetypal, Progress
from saev.nn.functional import unit_rows
from saev.training.initialization import initialize_from_data, set_normalization


def trained(delta: float, steps: int = 30) -> Archetypal:
    torch.manual_seed(0)
    x = torch.randn(300, 8)
    sae = Archetypal(8, d_sae=24, k=3, n_points=16, delta=delta)
    set_normalization(sae, x)
    initialize_from_data(sae, x, torch.Generator().manual_seed(0))
    optimizer = torch.optim.Adam(sae.parameters(), lr=0.05)
    for number in range(steps):
        optimizer.zero_grad()
        sae.training_pass(sae.normalize(x), Progress(number)).reconstruction.backward()
        optimizer.step()
        sae.constrain()
    return sae


@pytest.mark.parametrize("delta", [0.0, 0.2, 5.0])
def test_rows_stay_within_delta_of_mixtures_of_the_points(delta: float) -> None:
    sae = trained(delta)
    A = sae.A_logits.softmax(1)
    assert (A >= 0).all()
    torch.testing.assert_close(A.sum(1), torch.ones(24))
    distance = (sae.W_dec - A @ sae.points).norm(dim=1)
    assert distance.max() <= delta + 1e-6
    if delta == 0.2:
        assert distance.max() > 0.199
    torch.testing.assert_close(sae.W_dec, sae.decoder())


def test_mixtures_and_deviations_are_trained_and_the_points_are_not() -> None:
    first, last = trained(0.2, steps=0), trained(0.2)
    assert torch.equal(first.points, last.points)
    assert (first.A_logits - last.A_logits).abs().max() > 0.1
    assert (first.deviation - last.deviation).abs().max() > 0.1


def test_the_points_are_data_of_norm_1() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 8) + 3
    sae = Archetypal(8, d_sae=24, k=3, n_points=16)
    set_normalization(sae, x)
    initialize_from_data(sae, x, torch.Generator().manual_seed(0))
    cosines = sae.points @ unit_rows(sae.normalize(x)).T
    torch.testing.assert_close(cosines.amax(1), torch.ones(16))
    assert len(set(cosines.argmax(1).tolist())) == 16
    # Each latent starts close to one, the first ones in turn.
    assert torch.equal(sae.A_logits.argmax(1), torch.arange(24) % 16)


def test_gradients_reach_mixtures_and_deviations_as_through_a_dense_decoder() -> None:
    sae = trained(0.2).double()
    z = torch.randn(20, 8, dtype=torch.float64)
    f = sae.codes(z)
    rows = sae.A_logits.softmax(1) @ sae.points + sae.deviation
    expected = (f @ rows + sae.b_dec - z).square().mean()
    names = ["A_logits", "deviation", "W_enc", "b_enc", "b_dec"]
    assert sorted(names) == sorted(name for name, weight in sae.named_parameters() if weight.requires_grad)
    parameters = [sae.get_parameter(name) for name in names]
    wanted = torch.autograd.grad(expected, parameters)
    gradients = torch.autograd.grad(sae.training_pass(z, Progress()).reconstruction, parameters)
    for gradient, dense in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, dense)


def test_a_new_start_takes_the_nearest_point() -> None:
    sae = trained(0.1)
    direction = unit_rows(sae.points[5:6] + 0.1 * torch.ones(1, 8))
    sae.reset_latents(torch.tensor([7]), direction)
    assert sae.A_logits[7].argmax() == 5
    assert sae.deviation[7].norm() <= 0.1 + 1e-6
    assert unit_rows(sae.W_dec[7:8]) @ direction[0] > 0.9


def test_a_small_delta_keeps_latents_at_the_data() -> None:
    small, large = (trained(delta, steps=60) for delta in (0.0, 5.0))
    near = [(unit_rows(sae.W_dec) @ sae.points.T).amax(1).mean() for sae in (small, large)]
    assert near[0] > near[1]
