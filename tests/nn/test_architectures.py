import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saev.errors import InputError
from saev.nn import ARCHITECTURES, ReLU, SparseAutoencoder, TopK
from saev.nn.functional import keep_top_k, unit_rows, without_parallel


@pytest.fixture(params=sorted(ARCHITECTURES))
def sae(request: pytest.FixtureRequest) -> SparseAutoencoder:
    torch.manual_seed(0)
    sae = ARCHITECTURES[request.param](6, d_sae=40, **({"k": 4} if request.param == "TopK" else {}))
    sae.mean_d.copy_(torch.randn(6))
    sae.scale.fill_(3.0)
    return sae


class TestEveryArchitecture:
    def test_forward_is_encode_then_decode_on_raw_activations(self, sae: SparseAutoencoder) -> None:
        x = torch.randn(5, 7, 6)
        f = sae.encode(x)
        assert f.shape == (5, 7, 40)
        assert (f >= 0).all()
        torch.testing.assert_close(sae(x), sae.decode(f))

    def test_equations(self, sae: SparseAutoencoder) -> None:
        x = torch.randn(5, 6)
        z = (x - sae.mean_d) / 3
        f = sae.encode(x)
        torch.testing.assert_close(f, sae.activate(z @ sae.W_enc + sae.b_enc))
        torch.testing.assert_close(sae.decode(f), (f @ sae.W_dec + sae.b_dec) * 3 + sae.mean_d)

    def test_rebuilt_from_its_options(self, sae: SparseAutoencoder) -> None:
        again = type(sae)(6, **sae.options())
        assert again.name == sae.name
        again.load_state_dict(sae.state_dict())
        x = torch.randn(3, 6)
        torch.testing.assert_close(again(x), sae(x), rtol=0, atol=0)

    def test_decoder_rows_and_gradient(self, sae: SparseAutoencoder) -> None:
        sae(torch.randn(64, 6)).square().sum().backward()
        sae.remove_parallel_gradient()
        assert sae.W_dec.grad is not None
        parallel = (sae.W_dec.grad * sae.W_dec).sum(-1)
        assert parallel.abs().max() < 1e-5 * sae.W_dec.grad.norm(dim=-1).max()
        with torch.no_grad():
            sae.W_dec.mul_(5)
        sae.normalize_decoder()
        torch.testing.assert_close(sae.W_dec.norm(dim=-1), torch.ones(40))


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_keep_top_k_equals_a_sort(k: int, seed: int) -> None:
    h = torch.randn(9, 12, generator=torch.Generator().manual_seed(seed))
    expected = torch.zeros_like(h)
    for row in range(9):
        for column in sorted(range(12), key=lambda c: -h[row, c].item())[:k]:
            expected[row, column] = max(h[row, column].item(), 0.0)
    assert torch.equal(keep_top_k(h, k), expected)


def test_relu_penalty_is_the_mean_l1_norm() -> None:
    sae = ReLU(4, d_sae=8, l1_coeff=0.5)
    f = torch.rand(10, 8)
    torch.testing.assert_close(sae.sparsity_penalty(f), 0.5 * f.sum() / 10 / 4)


def test_topk_has_at_most_k_active() -> None:
    sae = TopK(16, d_sae=64, k=3)
    assert (sae.encode(torch.randn(100, 16)) > 0).sum(-1).max() == 3


def test_without_parallel_is_orthogonal() -> None:
    w = unit_rows(torch.randn(7, 5))
    g = without_parallel(torch.randn(7, 5), w)
    assert (g * w).sum(-1).abs().max() < 1e-6


@pytest.mark.parametrize(("k", "d_sae"), [(0, 8), (9, 8)])
def test_k_out_of_range(k: int, d_sae: int) -> None:
    with pytest.raises(InputError, match=f"k={k} must lie between 1 and d_sae={d_sae}"):
        TopK(4, d_sae=d_sae, k=k)


def test_bad_sizes_and_coefficients() -> None:
    with pytest.raises(InputError, match="l1_coeff=-1"):
        ReLU(4, d_sae=8, l1_coeff=-1.0)
    with pytest.raises(InputError, match="d_sae=0"):
        ReLU(4, d_sae=0)
