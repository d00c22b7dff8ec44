import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.nn.small_saes import D_IN, D_SAE, SMALL, build

from saev.errors import InputError
from saev.nn import (
    ARCHITECTURES,
    Archetypal,
    Gated,
    HierarchicalTopK,
    JumpReLU,
    MatchingPursuit,
    Matryoshka,
    Progress,
    ReLU,
    SparseAutoencoder,
    TopK,
)
from saev.nn.functional import keep_top_k, remove_parallel_, unit_rows
from saev.training import AuxK, step_losses
from saev.training.initialization import initialize_from_data, set_normalization

HAS_K = sorted(case for case, (_, options) in SMALL.items() if "k" in options)
HAS_PENALTY = sorted(set(SMALL) - set(HAS_K))


@pytest.fixture(params=sorted(SMALL))
def sae(request: pytest.FixtureRequest) -> SparseAutoencoder:
    return build(request.param)


def test_every_architecture_is_here() -> None:
    assert {name for name, _ in SMALL.values()} == set(ARCHITECTURES)


class TestEveryArchitecture:
    def test_forward_is_encode_then_decode_on_raw_activations(self, sae: SparseAutoencoder) -> None:
        x = torch.randn(5, 7, D_IN)
        f = sae.encode(x)
        assert f.shape == (5, 7, D_SAE)
        assert (f >= 0).all() and f.any() and not f.all()
        torch.testing.assert_close(sae(x), sae.decode(f))

    def test_equations(self, sae: SparseAutoencoder) -> None:
        x = torch.randn(5, D_IN)
        f = sae.encode(x)
        torch.testing.assert_close(f, sae.codes((x - sae.mean_d) / sae.scale_d))
        torch.testing.assert_close(sae.decode(f), (f @ sae.W_dec + sae.b_dec) * sae.scale_d + sae.mean_d)

    def test_a_token_is_encoded_the_same_beside_others(self, sae: SparseAutoencoder) -> None:
        x = torch.randn(30, D_IN)
        torch.testing.assert_close(sae.encode(x)[3:4], sae.encode(x[3:4]))

    def test_pre_activations_of_some_latents(self, sae: SparseAutoencoder) -> None:
        z, latents = torch.randn(9, D_IN), torch.tensor([3, 0, 17])
        torch.testing.assert_close(sae.pre_activations(z, latents), sae.pre_activations(z)[:, latents])

    def test_rebuilt_from_its_options(self, sae: SparseAutoencoder) -> None:
        again = type(sae)(D_IN, **sae.options()).eval()
        assert again.name == sae.name
        again.load_state_dict(sae.state_dict())
        x = torch.randn(3, D_IN)
        torch.testing.assert_close(again(x), sae(x), rtol=0, atol=0)

    def test_folded_takes_raw_activations(self, sae: SparseAutoencoder) -> None:
        x = torch.randn(50, D_IN)
        if isinstance(sae, MatchingPursuit):
            with pytest.raises(InputError, match="its encoder is its decoder"):
                sae.folded()
            return
        before = {name: tensor.clone() for name, tensor in sae.state_dict().items()}
        plain = sae.folded()
        assert not plain.mean_d.any() and (plain.scale_d == 1).all()
        torch.testing.assert_close(plain.encode(x), sae.encode(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(plain.reconstruct(plain.encode(x)), sae(x), rtol=1e-4, atol=1e-5)
        assert all(torch.equal(tensor, before[name]) for name, tensor in sae.state_dict().items())

    def test_the_pass_agrees_with_the_codes(self, sae: SparseAutoencoder) -> None:
        """L0, L1, what fired and the reconstruction are those of the codes in training mode."""
        z = torch.randn(64, D_IN)
        found = sae.train().training_pass(z, Progress())
        f = sae.codes(z).detach()
        torch.testing.assert_close(found.l0, (f > 0).sum() / 64, rtol=1e-4, atol=0)
        torch.testing.assert_close(found.l1, f.sum() / 64)
        assert torch.equal(found.fired_s, (f > 0).any(0))
        torch.testing.assert_close(found.z_hat_bd, sae.reconstruct(f), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.decoder_sd, sae.W_dec)

    def test_all_that_is_trained_gets_a_gradient(self, sae: SparseAutoencoder) -> None:
        x = 3 * torch.randn(64, D_IN)
        step_losses(sae.train(), x, torch.arange(10), AuxK(1 / 32, 4)).total.backward()
        for name, parameter in sae.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and parameter.grad.any() and parameter.grad.isfinite().all(), name

    def test_low_precision_products_leave_losses_and_gradients_close(self, sae: SparseAutoencoder) -> None:
        x, dead, aux = torch.randn(256, D_IN), torch.arange(10), AuxK(1 / 32, 4)
        trained = [parameter for parameter in sae.parameters() if parameter.requires_grad]
        exact = step_losses(sae.train(), x, dead, aux).total
        with torch.autocast("cpu", torch.bfloat16):
            rounded = step_losses(sae, x, dead, aux).total
        torch.testing.assert_close(rounded, exact, rtol=0.02, atol=0, check_dtype=False)
        gradients = [torch.autograd.grad(loss, trained) for loss in (exact, rounded)]
        for parameter, wanted, found in zip(trained, *gradients, strict=True):
            assert found.dtype == parameter.dtype
            assert (found - wanted).norm() < 0.1 * wanted.norm()

    def test_unit_rows_and_their_gradient(self, sae: SparseAutoencoder) -> None:
        if not sae.has_unit_rows:
            return
        sae(torch.randn(64, D_IN)).square().sum().backward()
        sae.project_gradients()
        assert sae.W_dec.grad is not None
        parallel = (sae.W_dec.grad * sae.W_dec).sum(-1)
        assert parallel.abs().max() < 1e-5 * sae.W_dec.grad.norm(dim=-1).max()
        with torch.no_grad():
            sae.W_dec.mul_(5)
        sae.constrain()
        torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(D_SAE))

    def test_restarted_latents_point_where_they_are_told_and_the_others_stay(self, sae: SparseAutoencoder) -> None:
        before = {name: tensor.clone() for name, tensor in sae.state_dict().items()}
        latents, others = torch.tensor([3, 17]), [latent for latent in range(D_SAE) if latent not in (3, 17)]
        directions = unit_rows(torch.randn(2, D_IN))
        h_before = sae.pre_activations(torch.zeros(1, D_IN))
        sae.reset_latents(latents, directions)
        cosines = (unit_rows(sae.W_dec[latents]) * directions).sum(1)
        assert cosines.min() > (0.7 if isinstance(sae, Archetypal) else 0.9999)
        h = sae.pre_activations(10 * sae.W_dec[latents])
        assert (sae.codes(10 * sae.W_dec[latents])[[0, 1], latents] > 0).all()
        assert (h[[0, 1], latents] > 0).all()
        torch.testing.assert_close(sae.pre_activations(torch.zeros(1, D_IN))[:, others], h_before[:, others])
        for name, tensor in sae.state_dict().items():
            if name == "W_enc":
                assert torch.equal(tensor[:, others], before[name][:, others])
            elif tensor.shape[:1] == (D_SAE,):
                torch.testing.assert_close(tensor[others], before[name][others], rtol=0, atol=1e-6)
            else:
                assert torch.equal(tensor, before[name])

    def test_every_latent_has_its_part_of_every_parameter(self, sae: SparseAutoencoder) -> None:
        places = {id(weight): dim for weight, dim in sae.latent_parameters()}
        for name, parameter in sae.named_parameters():
            if name == "b_dec":
                assert id(parameter) not in places
            else:
                assert parameter.shape[places[id(parameter)]] == D_SAE

    def test_learns_a_small_dictionary(self, sae: SparseAutoencoder) -> None:
        """Tokens are sums of 2 of 12 directions, and the error falls far below that of the first weights."""
        generator = torch.Generator().manual_seed(0)
        directions = unit_rows(torch.randn(12, D_IN, generator=generator))
        picked = torch.rand(512, 12, generator=generator).topk(2).indices
        x = 5 + (directions[picked] * (0.5 + torch.rand(512, 2, 1, generator=generator))).sum(1)
        set_normalization(sae, x)
        initialize_from_data(sae, x, generator)
        sae.train()
        optimizer = torch.optim.Adam(sae.parameters(), lr=0.01)
        losses = []
        for number in range(120):
            optimizer.zero_grad()
            found = step_losses(sae, x, torch.arange(0), AuxK(0.0, 1), Progress(number)).architecture
            (found.reconstruction + 0.03 * found.sparsity).backward()
            sae.project_gradients()
            optimizer.step()
            sae.constrain()
            losses.append((found.z_hat_bd - sae.normalize(x)).square().mean().item())
        assert min(losses[-20:]) < 0.6 * losses[0]
        assert min(losses[-20:]) < 0.1


@pytest.mark.parametrize("case", HAS_K)
def test_k_is_annealed(case: str) -> None:
    z = 10 * torch.randn(200, D_IN)
    l0 = [build(case).train().training_pass(z, Progress(k=factor)).l0.item() for factor in (0.5, 1.0, 2.0, 1000.0)]
    assert l0[0] < l0[1] < l0[2] <= l0[3] <= D_SAE


@pytest.mark.parametrize("case", HAS_PENALTY)
def test_the_penalty_is_warmed_up(case: str) -> None:
    z = torch.randn(64, D_IN)
    sae = build(case)
    whole, half, none = (sae.training_pass(z, Progress(sparsity=factor)) for factor in (1.0, 0.5, 0.0))
    assert whole.sparsity > 0
    torch.testing.assert_close(half.sparsity, whole.sparsity / 2)
    assert none.sparsity == 0
    assert half.reconstruction == whole.reconstruction


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_keep_top_k_equals_a_sort(k: int, seed: int) -> None:
    h = torch.randn(9, 12, generator=torch.Generator().manual_seed(seed))
    expected = torch.zeros_like(h)
    for row in range(9):
        for column in sorted(range(12), key=lambda c: -h[row, c].item())[:k]:
            expected[row, column] = max(h[row, column].item(), 0.0)
    assert torch.equal(keep_top_k(h, k), expected)


def test_relu_penalty_is_the_mean_l1_norm() -> None:
    z = torch.randn(10, 4)
    for l1 in ("plain", "weighted"):
        sae = ReLU(4, d_sae=8, l1_coeff=0.5, l1=l1)
        with torch.no_grad():
            sae.W_dec.mul_(torch.arange(1, 9)[:, None])
        norms = torch.arange(1, 9) if l1 == "weighted" else torch.ones(8)
        expected = 0.5 * (sae.codes(z) * norms).sum() / 10 / 4
        torch.testing.assert_close(sae.training_pass(z, Progress()).sparsity, expected)


def test_topk_has_at_most_k_active() -> None:
    sae = TopK(16, d_sae=64, k=3)
    assert (sae.encode(torch.randn(100, 16)) > 0).sum(-1).max() == 3


def test_hierarchical_topk_can_be_used_with_a_smaller_k() -> None:
    sae = build("HierarchicalTopK")
    assert isinstance(sae, HierarchicalTopK)
    x = torch.randn(30, D_IN)
    whole = sae.encode(x)
    sae.selection.k = 2
    torch.testing.assert_close(sae.encode(x), keep_top_k(whole, 2))


def test_random_prefixes_depend_on_the_step_alone() -> None:
    def losses(seed: int) -> list[float]:
        sae = build("Matryoshka-random").train()
        torch.manual_seed(seed)
        z = torch.linspace(-2, 2, 20 * D_IN).view(20, D_IN).sin()
        return [sae.training_pass(z, Progress(number)).reconstruction.item() for number in range(4)]

    assert losses(0) == losses(1)
    assert len(set(losses(0))) > 1


def test_without_its_parallel_part_a_gradient_is_orthogonal() -> None:
    w = unit_rows(torch.randn(7, 5))
    g = torch.randn(7, 5)
    remove_parallel_(g, w)
    assert (g * w).sum(-1).abs().max() < 1e-6


@pytest.mark.parametrize("architecture", ["Archetypal", "BatchTopK", "HierarchicalTopK", "MatchingPursuit", "TopK"])
@pytest.mark.parametrize(("k", "d_sae"), [(0, 8), (9, 8)])
def test_k_out_of_range(architecture: str, k: int, d_sae: int) -> None:
    with pytest.raises(InputError, match=f"k={k} must lie between 1 and d_sae={d_sae}"):
        ARCHITECTURES[architecture](4, d_sae=d_sae, k=k)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReLU(4, d_sae=8, l1_coeff=-1.0), "l1_coeff=-1"),
        (lambda: ReLU(4, d_sae=0), "d_sae=0"),
        (lambda: TopK(0, d_sae=8, k=2), "d_in=0"),
        (lambda: Gated(4, d_sae=8, l1_coeff=-1.0), "l1_coeff=-1"),
        (lambda: JumpReLU(4, d_sae=8, l0_coeff=-1.0), "l0_coeff=-1"),
        (lambda: JumpReLU(4, d_sae=8, bandwidth=0.0), "bandwidth=0"),
        (lambda: JumpReLU(4, d_sae=8, threshold=-1.0), "threshold=-1"),
        (lambda: JumpReLU(4, d_sae=8, penalty="l1"), "penalty='l1'"),  # type: ignore[arg-type]
        (lambda: Archetypal(4, d_sae=8, k=2, n_points=0), "n_points=0"),
        (lambda: Archetypal(4, d_sae=8, k=2, delta=-0.1), "delta=-0.1"),
        (lambda: Matryoshka(4, d_sae=8, k=2, prefixes=[4, 2]), r"prefixes=\[4, 2\] must ascend"),
        (lambda: Matryoshka(4, d_sae=8, k=2, prefixes=[9]), r"prefixes=\[9\] must ascend"),
        (lambda: Matryoshka(4, d_sae=8, k=2, prefixes=[2], random_prefixes=2), "leave one of them out"),
        (lambda: HierarchicalTopK(4, d_sae=8, k=2, budgets=[3]), r"budgets=\[3\] must ascend"),
    ],
)
def test_bad_options(make, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=message):
        make()


def test_names_are_short_and_tell_the_options(sae: SparseAutoencoder) -> None:
    assert sae.name.startswith(type(sae).__name__.lower() + f"-d_sae{D_SAE}")
    assert len(sae.name) < 80 and not set(sae.name) & set(" /[],")
