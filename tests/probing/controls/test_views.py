"""What views make of tokens, against a look at each token; the SAE with random weights of each architecture."""

import numpy as np
import pytest
import torch

from saev.nn.base import ARCHITECTURES, SparseAutoencoder
from saev.probing.controls import views

X_BTD = torch.randn(5, 6, 8, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 9, 8)


def test_directions_with_both_signs() -> None:
    rows_md = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    found = views.Directions("direction", rows_md, 8).pooled(X_BTD)
    h_btm = (X_BTD @ rows_md.T).numpy()
    expected = np.concatenate([h_btm.max(1), (-h_btm).max(1), h_btm.mean(1), -h_btm.mean(1)], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert views.Directions("neuron", None, 8).size == 8


def test_nearness_to_centres() -> None:
    found = views.Centres(X_BTD[0, :2]).pooled(X_BTD)
    near_btm = -np.linalg.norm(X_BTD[:, :, None].numpy() - X_BTD[0, :2].numpy(), axis=-1)
    np.testing.assert_allclose(found, np.concatenate([near_btm.max(1), near_btm.mean(1)], axis=1), atol=1e-4)


def test_k_means_finds_clusters() -> None:
    middle_md = 20 * torch.eye(8)[:3]
    x_nd = (middle_md[torch.arange(300) % 3] + torch.randn(300, 8, generator=torch.Generator().manual_seed(0))).clone()
    found = views.centres(x_nd, 12, torch.Generator().manual_seed(0)).rows_md
    assert torch.cdist(middle_md, found).amin(1).max() < 2
    assert views.centres(x_nd[:5], 12, torch.Generator().manual_seed(0)).size == 5


def test_components_are_those_of_the_largest_variance() -> None:
    found = views.components(X_BTD.flatten(0, 1), 2)
    assert found.rows_md is not None
    variances = [(X_BTD.flatten(0, 1) @ row).var().item() for row in found.rows_md]
    assert variances == sorted(variances, reverse=True)
    assert variances[0] >= X_BTD.flatten(0, 1).var(0).max().item()


def test_random_directions_count_neurons_alike() -> None:
    x_nd = X_BTD.flatten(0, 1)
    found = views.random_directions(x_nd, 500, torch.Generator().manual_seed(0)).rows_md
    assert found is not None
    share_d = (found * x_nd.std(0)).square().mean(0)
    assert share_d.max() / share_d.min() < 1.5


def options_of(name: str) -> dict[str, object]:
    return {"d_sae": 48, **({"k": 4} if name in ("TopK", "BatchTopK", "Archetypal", "MatchingPursuit") else {})}


@pytest.mark.parametrize("name", ["TopK", "BatchTopK", "JumpReLU", "ReLU", "Gated", "Archetypal", "MatchingPursuit"])
def test_random_weights_of_the_same_architecture(name: str) -> None:
    x_nd = 100 + torch.randn(600, 16, generator=torch.Generator().manual_seed(0))
    architecture = ARCHITECTURES.named(name, "test")
    torch.manual_seed(0)
    sae: SparseAutoencoder = architecture(16, **options_of(name))
    state = torch.get_rng_state()
    found = views.random_sae(sae, x_nd, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert (type(found), found.options()) == (type(sae), sae.options())
    assert not found.training
    assert not torch.equal(found.W_dec, sae.W_dec)
    l0 = (found.encode(x_nd) > 0).float().sum(-1).mean().item()
    assert 1 <= l0 <= (48 if name in ("ReLU", "Gated", "JumpReLU") else 6), l0
    again = views.random_sae(sae, x_nd, seed=5)
    assert torch.equal(again.encode(x_nd), found.encode(x_nd))
