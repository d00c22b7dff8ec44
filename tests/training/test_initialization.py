import pytest
import torch

from saev.nn import Gated, JumpReLU, ReLU, SparseAutoencoder, TopK
from saev.nn.functional import unit_rows
from saev.training.initialization import initialize_from_data, set_normalization


def activations(n: int = 500, d: int = 16) -> torch.Tensor:
    """Activations with one channel a thousand times larger than the others, as ViTs have."""
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0))
    x[:, 3] = x[:, 3] * 1000 + 5000
    return x


def test_normalised_activations_are_centred_with_mean_squared_norm_d() -> None:
    sae = TopK(16, d_sae=32, k=4)
    set_normalization(sae, activations())
    z = sae.normalize(activations()).double()
    assert z.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(z.square().sum(-1).mean(), torch.tensor(16.0, dtype=torch.float64), rtol=1e-4, atol=0)


def test_constant_activations_stay_finite() -> None:
    sae = TopK(4, d_sae=8, k=2)
    set_normalization(sae, torch.full((10, 4), 7.0))
    assert sae(torch.full((3, 4), 7.0)).isfinite().all()


def test_each_dimension_can_have_its_own_scale() -> None:
    sae = TopK(16, d_sae=32, k=4)
    x = activations()
    set_normalization(sae, x, "dimension")
    z = sae.normalize(x).double()
    assert z.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(z.square().mean(0), torch.ones(16, dtype=torch.float64), rtol=1e-4, atol=0)


def test_activations_can_stay_as_they_are() -> None:
    sae = TopK(16, d_sae=32, k=4)
    set_normalization(sae, activations(), "none")
    assert torch.equal(sae.normalize(activations()), activations())


@pytest.mark.parametrize(
    "sae",
    [TopK(16, d_sae=1000, k=8), ReLU(16, d_sae=1000), JumpReLU(16, d_sae=1000), Gated(16, d_sae=1000)],
    ids=lambda sae: sae.name,
)
def test_latents_point_at_data_and_the_first_reconstruction_beats_the_mean(sae: SparseAutoencoder) -> None:
    x = torch.randn(400, 16, generator=torch.Generator().manual_seed(1))
    set_normalization(sae, x)
    initialize_from_data(sae, x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(1000))
    nearest = (sae.W_dec @ unit_rows(sae.normalize(x)).T).amax(-1)
    assert nearest.min() > 0.85
    z = sae.normalize(x)
    z_hat = sae.reconstruct(sae.codes(z))
    assert (z_hat - z).square().mean() < z.square().mean()
    # The factor of W_enc is the best one: neither a bit more nor a bit less reconstructs better.
    for factor in (0.9, 1.1):
        assert (factor * z_hat - z).square().mean() > (z_hat - z).square().mean()


def test_the_seed_decides() -> None:
    x = torch.randn(100, 8)

    def weights(seed: int) -> torch.Tensor:
        sae = TopK(8, d_sae=32, k=4)
        initialize_from_data(sae, x, torch.Generator().manual_seed(seed))
        return sae.W_dec.detach()

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_rare_directions_get_latents_too() -> None:
    """99 % of the tokens are one background with a little noise; the others still get most of the latents."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2000, 16, generator=generator)
    x[20:] = torch.ones(16) + 0.01 * x[20:]
    sae = TopK(16, d_sae=40, k=4)
    initialize_from_data(sae, x, generator)
    background = (sae.W_dec @ torch.ones(16) / 4 > 0.95).sum()
    assert background < 24


def test_more_latents_than_data_points() -> None:
    sae = TopK(8, d_sae=100, k=4)
    initialize_from_data(sae, torch.randn(30, 8), torch.Generator().manual_seed(0))
    torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(100))
