"""SAEs whose latents two processes divide do what the whole SAE does; in float64.

Shape suffixes: b = tokens of a batch, s = latents, k = candidates.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.nn.small_saes import D_IN, D_SAE, SMALL, build
from tests.ranks import in_two_processes
from tests.training.small_options import OPTIONS as SMALL_OPTIONS
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from saev.errors import InputError
from saev.metrics import decoder_coherence
from saev.nn import ARCHITECTURES, MatchingPursuit, Progress, SparseAutoencoder, TopK
from saev.nn.functional import among_largest, keep_top_k
from saev.nn.processes import ALONE, EVERYONE, Processes
from saev.nn.sharding import assembled, check_divisible, divide, gathered, own_part
from saev.training import AuxK, step_losses
from saev.training.evaluation import Evaluation
from saev.training.initialization import initialize_from_data
from saev.training.state import SaeInTraining

CASES = sorted(name for name, (architecture, _) in SMALL.items() if ARCHITECTURES[architecture].is_divisible)
STEP = Progress(step=7, k=1.5)
AUX = AuxK(0.5, 7)
OPTIONS = replace(
    SMALL_OPTIONS,
    lr=1e-2, warmup=0.0, decay=0.0, auxk_coeff=0.5, k_aux=7, dead_after=100, restarts=5,
)  # fmt: skip


def pair(case: str) -> tuple[SparseAutoencoder, SparseAutoencoder]:
    """The whole SAE, and the same one divided."""
    whole, own = build(case, torch.float64).train(), build(case, torch.float64).train()
    divide(own)
    return whole, own


def tokens(n: int = 50) -> Tensor:
    return 2 * torch.randn(n, D_IN, dtype=torch.float64)


def alone(loss_of: SparseAutoencoder) -> None:
    """Let an SAE work as if there were no other process."""
    loss_of.processes = Processes(tokens=ALONE, latents=ALONE)


def check_largest() -> None:
    """Exactly k a row, whatever is equal, and NaN stays visible."""
    for seed, n_own in ((0, 20), (1, 20), (2, 3)):
        h_bs = (2 * torch.randn(9, 2 * n_own, generator=torch.Generator().manual_seed(seed))).round()
        own_bs = h_bs[:, EVERYONE.part(2 * n_own)]
        values_bk, places_bk = own_bs.topk(min(5, n_own))
        kept_bk = among_largest(values_bk, 5, EVERYONE)
        assert (EVERYONE.sum(kept_bk.sum(1)) == 5).all()
        threshold_b1 = h_bs.sort(descending=True).values[:, 4:5]
        assert (values_bk[kept_bk] >= threshold_b1.expand_as(values_bk)[kept_bk]).all()
        assert (kept_bk | ~(values_bk > threshold_b1)).all()
        dense_bs = torch.zeros_like(own_bs).scatter(1, places_bk, values_bk.relu() * kept_bk)
        assert torch.equal(keep_top_k(own_bs, 5, EVERYONE), dense_bs)
    uneven_bs = torch.arange(6.0).repeat(2, 1)[:, : 6 if EVERYONE.rank else 0]  # one has none at all
    assert keep_top_k(uneven_bs, 4, EVERYONE).gt(0).sum() == (8 if EVERYONE.rank else 0)
    nan_bs = torch.tensor([[1.0, torch.nan, 2.0]]) if EVERYONE.rank else torch.tensor([[3.0, 4.0, 5.0]])
    assert keep_top_k(nan_bs, 2, EVERYONE).isnan().any() == (EVERYONE.rank == 1)


def check_pieces() -> None:
    """What is cut into parts is put together again, and lies in memory as before."""
    whole = torch.arange(2 * D_SAE * 3, dtype=torch.float64).view(2 * D_SAE, 3).T
    part = own_part(whole, 1)
    assert part.shape == (3, D_SAE) and part.stride() == whole.stride()
    again = gathered(part, 1)
    if EVERYONE.rank == 0:
        assert torch.equal(again, whole) and again.stride() == whole.stride()
    else:
        assert again.numel() == 0


def check_step(case: str) -> None:
    """Losses, gradients, codes, reconstructions and what is exported."""
    whole, own = pair(case)
    alone(whole)
    x, dead_s = tokens(), torch.arange(D_SAE) % 3 == 0
    dead_s[D_SAE // 2 :] &= case == "TopK"  # otherwise only one process has dead ones
    expected = step_losses(whole, x, dead_s.nonzero().squeeze(-1), AUX, STEP)
    found = step_losses(own, x, dead_s[own.own_latents].nonzero().squeeze(-1), AUX, STEP)
    torch.testing.assert_close(found.total, expected.total, rtol=1e-12, atol=0)
    assert found.auxk > 0
    torch.testing.assert_close(found.architecture.z_hat_bd, expected.architecture.z_hat_bd, rtol=1e-12, atol=1e-12)
    assert torch.equal(found.architecture.fired_s, expected.architecture.fired_s[own.own_latents])
    torch.testing.assert_close(EVERYONE.sum(found.architecture.l0), expected.architecture.l0)
    wanted = dict(whole.named_parameters())
    wanted = dict(zip(wanted, torch.autograd.grad(expected.total, list(wanted.values())), strict=True))
    grads = torch.autograd.grad(found.total, list(own.parameters()))
    for (name, weight), grad in zip(own.named_parameters(), grads, strict=True):
        dim = own.latent_dims().get(name)
        part = wanted[name] if dim is None else own_part(wanted[name], dim)
        assert grad.shape == weight.shape and part.any()
        torch.testing.assert_close(grad, part, rtol=1e-10, atol=1e-14, msg=lambda m, n=name: f"{case} {n}: {m}")
    for mode in (True, False):
        codes = own.train(mode).encode(x)
        torch.testing.assert_close(codes, whole.train(mode).encode(x)[:, own.own_latents])
        torch.testing.assert_close(own.decode(codes), whole(x))
    again = assembled(own)
    assert (again is None) == (EVERYONE.rank > 0)
    if again is not None:
        assert again.options() == whole.options() and not again.training
        assert all(torch.equal(value, again.state_dict()[name]) for name, value in whole.state_dict().items())


def check_training(case: str) -> None:
    """Members train alike from the first weights on: AuxK, restarts, clipping; then so do the whole and its parts."""
    torch.manual_seed(1)
    sample = tokens(300)
    members = [SaeInTraining("one", sae, OPTIONS).train() for sae in (build(case, torch.float64) for _ in range(2))]
    one, two = members
    alone(one.sae)
    two.divide()
    for member in members:
        initialize_from_data(member.sae, sample, torch.Generator().manual_seed(0))
        with torch.no_grad():
            member.sae.b_enc[torch.arange(D_SAE)[member.sae.own_latents] % 3 == 0] = -100
    optimizers = [torch.optim.Adam(member.trained, lr=1e-2) for member in members]
    restarted = 0
    for number in range(50):
        x, progress = tokens(60), Progress(number, 100, 60)
        if OPTIONS.restarts_at(number, 100):
            restarted += int((one.silent_tokens_s >= 100).sum())
        for member, optimizer in zip(members, optimizers, strict=True):
            if number == 0:
                member.note_start(x)
            member.restart(x, progress, optimizer)
            losses, grads = member.gradients(x, progress)
            assert losses is not None
            for weight, grad in zip(member.trained, grads, strict=True):
                weight.grad = grad
            member.sae.project_gradients()
            norm = clip_grad_norm_(one.trained, torch.inf) if member is one else None
            member.clip(0.05)
            if norm is not None:
                assert norm > 0.05
            optimizer.step()
            member.sae.constrain()
            if number == 49:
                member.note_end(x)
    assert restarted > 0
    evaluation = Evaluation(two.sae.eval(), torch.device("cpu"))
    evaluation.update(tokens(60))
    found, expected = evaluation.compute(), decoder_coherence(one.sae.W_dec)
    assert (found["coherence"], found["coherence_max"]) == pytest.approx(tuple(expected), rel=1e-5)
    dims = two.latent_dims()
    for name, value in two.state_dict().items():
        wanted = one.state_dict()[name]
        part = own_part(wanted, dims[name]) if name in dims else wanted
        torch.testing.assert_close(value, part, rtol=1e-6, atol=1e-9, msg=lambda m, n=name: f"{case} {n}: {m}")


def check_both() -> None:
    check_largest()
    check_pieces()
    for case in CASES:
        check_step(case)
        check_training(case)


@pytest.mark.slow
def test_two_processes_with_half_of_the_latents_each(tmp_path: Path) -> None:
    in_two_processes(check_both, tmp_path)


def test_what_cannot_be_divided() -> None:
    with pytest.raises(InputError, match=r"d_sae=48 cannot be divided equally among 5 processes, 50 can"):
        check_divisible(TopK(4, d_sae=48, k=2), 5)
    with pytest.raises(InputError, match=r"MatchingPursuit cannot be divided, only .* BatchTopK, Matryoshka, TopK"):
        check_divisible(MatchingPursuit(4, d_sae=48, k=2), 2)
    with pytest.raises(InputError, match=r"--trainer.devices 2 or more"):
        check_divisible(TopK(4, d_sae=48, k=2), 1)
    check_divisible(TopK(4, d_sae=48, k=2), 3)
