import pytest
import torch
from tests.nn.small_saes import D_IN, D_SAE, SMALL, build

from saev.nn import TopK
from saev.training import AuxK, step_losses
from saev.training.restarts import forget_moments, worst_directions


def make_sae() -> TopK:
    torch.manual_seed(0)
    return TopK(8, d_sae=32, k=2)


def test_directions_come_from_the_tokens_that_are_reconstructed_worst() -> None:
    sae = make_sae()
    x = sae.decode(sae.encode(torch.randn(100, 8)))
    x = torch.cat([x * 1e-3, 50 * torch.eye(8)[:1]])
    directions = worst_directions(sae, x, 1, torch.Generator().manual_seed(0))
    missing = x[-1] - sae(x[-1:])[0]
    torch.testing.assert_close(directions[0], missing / missing.norm())


def test_no_direction_is_drawn_twice() -> None:
    directions = worst_directions(make_sae(), torch.randn(20, 8), 20, torch.Generator().manual_seed(0))
    assert len({tuple(row) for row in directions.tolist()}) == 20


def test_restarted_latents_fire_along_their_direction_and_the_others_stay() -> None:
    sae = make_sae()
    before = {name: value.clone() for name, value in sae.state_dict().items()}
    latents = torch.tensor([3, 17])
    directions = torch.eye(8)[:2]
    sae.reset_latents(latents, directions)
    assert torch.equal(sae.W_dec[latents], directions)
    assert (sae.encode(10 * directions)[[0, 1], latents] > 0).all()
    others = [latent for latent in range(32) if latent not in (3, 17)]
    size = before["W_enc"][:, others].norm(dim=0).mean()
    torch.testing.assert_close(sae.W_enc[:, latents].norm(dim=0), size.expand(2))
    for name, value in sae.state_dict().items():
        kept = (slice(None), others) if name == "W_enc" else others
        if name in ("W_enc", "W_dec", "b_enc"):
            assert torch.equal(value[kept], before[name][kept])
        else:
            assert torch.equal(value, before[name])


@pytest.mark.parametrize("case", sorted(SMALL))
def test_moments_of_restarted_latents_are_zero(case: str) -> None:
    sae = build(case).train()
    optimizer = torch.optim.Adam(sae.parameters())
    step_losses(sae, 3 * torch.randn(64, D_IN), torch.arange(10), AuxK(1 / 32, 4)).total.backward()
    optimizer.step()
    before = {
        weight: {name: moment.clone() for name, moment in state.items()} for weight, state in optimizer.state.items()
    }
    forget_moments(optimizer, sae, torch.tensor([5]))
    for weight, state in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            moment, expected = state[name], before[weight][name]
            if weight is not sae.b_dec:
                (latents,) = (dim for dim, size in enumerate(weight.shape) if size == D_SAE)
                expected.movedim(latents, 0)[5] = 0
            assert torch.equal(moment, expected) and moment.any()
