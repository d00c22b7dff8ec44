"""What is found with the help of a rough product, against the same product in float64.

Shape suffixes: b = tokens, d = width, s = latents, k = active latents of a token, c = candidates, n = entries.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from saev.nn import TopK
from saev.nn.pre_activations import Product
from saev.nn.screening import ROUNDOFF, ScreenedProduct, screen, screening_pays
from saev.nn.selection import PerBatch


@pytest.fixture(scope="module", autouse=True)
def blocks_of_a_few_tokens() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("saev.nn.pre_activations.PRE_ACTIVATION_BYTES", {"cpu": 2**14})
        yield


Factors = tuple[Tensor, Tensor, Tensor]
KINDS = ("normal", "aligned", "outliers", "offset", "close", "alike", "zeros", "huge", "tiny", "vanishing")


def factors(kind: str, b: int, d: int, s: int, seed: int) -> Factors:
    """Tokens (b, d), weights (d, s) and biases (s,)."""
    generator = torch.Generator().manual_seed(seed)
    z, W, b_s = (torch.randn(*shape, generator=generator) for shape in ((b, d), (d, s), (s,)))
    if kind == "aligned":  # the same roundings in both factors, none of which cancels another
        W[:, : min(b, s)] = z[: min(b, s)].T
    if kind == "outliers":
        z[:1] *= 100
        W[:, :1] *= 30
    if kind == "offset":
        z, b_s = z + 20, b_s - 5
    if kind == "close":  # too close for bfloat16
        W = W[:, :1] + 1e-4 * W
    if kind == "alike":  # a few tokens that only float32 tells apart, among others
        W[:, : s // 2] = W[:, :1] + 1e-4 * W[:, : s // 2]
        z[: b // 8] = W[:, 0]
    if kind == "zeros":
        z[: b // 2 + 1], b_s = 0, 0 * b_s
    scale = {"huge": 1e25, "tiny": 1e-15, "vanishing": 1e-24}.get(kind, 1.0)
    return scale * z, W, scale * b_s


def in_float64(z: Tensor, W: Tensor, b_s: Tensor) -> tuple[Tensor, Tensor]:
    """Pre-activations (b, s), and how far those in float32 may be off (b, 1)."""
    h_bs = torch.addmm(b_s.double(), z.double(), W.double())
    size_b1 = z.double().norm(dim=1, keepdim=True) * W.double().norm(dim=0).max() + b_s.abs().max()
    return h_bs, 2.0**-24 * (len(W) + 4) * size_b1


def widths(screened: ScreenedProduct) -> Tensor:
    """How far the upper bounds (b, s) may be from the lower ones, but for their rounding."""
    return 2 * (screened.e_b1.double() * screened.n_s1.double().T + screened.g_s.double())


products = given(
    kind=st.sampled_from(KINDS),
    b=st.integers(1, 30) | st.integers(200, 300),  # several blocks, of which a few tokens may be loose
    d=st.sampled_from([1, 8, 100]),
    s=st.sampled_from([1, 5, 32, 100]),
    seed=st.integers(0, 10_000),
)


@products
def test_the_rough_product_bounds_the_exact_one(kind: str, b: int, d: int, s: int, seed: int) -> None:
    screened = ScreenedProduct(*factors(kind, b, d, s, seed))
    h_bs, _ = in_float64(*factors(kind, b, d, s, seed))
    upper_bs = torch.cat([block.double() for block in screened.rough.blocks()])
    rounding_bs = ROUNDOFF * upper_bs.abs()
    # Some processors give NaN, not infinity, in bfloat16.
    assert ((h_bs <= upper_bs + rounding_bs) | ~screened.e_b1.isfinite()).all()
    assert not (h_bs < upper_bs - rounding_bs - widths(screened)).any()  # which may be infinite


@products
def test_the_largest_of_a_token_are_those_of_the_exact_product(kind: str, b: int, d: int, s: int, seed: int) -> None:
    k = 1 + seed % min(s, 7)
    values_bk, latents_bk = ScreenedProduct(*factors(kind, b, d, s, seed)).largest(k)
    h_bs, error_b1 = in_float64(*factors(kind, b, d, s, seed))
    assert values_bk.dtype == torch.float32
    assert values_bk.shape == latents_bk.shape == (b, k)
    assert ((values_bk - h_bs.gather(1, latents_bk)).abs() <= error_b1).all()
    others_bs = h_bs.scatter(1, latents_bk, -torch.inf)
    assert others_bs.isneginf().sum() == b * k  # no latent twice
    assert (values_bk.amin(1) >= others_bs.amax(1) - 2 * error_b1.squeeze(1)).all()


@products
def test_entries_above_a_bound_are_those_of_the_exact_product(kind: str, b: int, d: int, s: int, seed: int) -> None:
    h_bs, error_b1 = in_float64(*factors(kind, b, d, s, seed))
    bound = float(h_bs.quantile(0.3 + seed % 7 / 10))
    screened = ScreenedProduct(*factors(kind, b, d, s, seed))
    found = screened.above(bound)
    assert (found.rows_n.diff() >= 0).all()
    assert (found.values_n > 0).all()
    taken_bs = torch.zeros(b, s, dtype=torch.bool)
    taken_bs[found.rows_n, found.latents_n] = True
    assert taken_bs.sum() == len(found.rows_n)
    assert ((found.values_n - h_bs[taken_bs]).abs() <= error_b1.expand_as(h_bs)[taken_bs]).all()
    bound = max(bound, 0.0)
    assert taken_bs[h_bs > bound + 2 * error_b1].all()
    assert not taken_bs[h_bs < (1 - 3 * ROUNDOFF) * bound - widths(screened)].any()


@given(
    k=st.integers(1, 6),
    s=st.integers(6, 40),
    error=st.sampled_from([0.0, 0.01, 0.2]),
    direction=st.sampled_from(["apart", "together", "random"]),
    level=st.sampled_from([-3.0, 0.0, 3.0]),
    seed=st.integers(0, 10_000),
)
def test_bounds_hide_none_of_the_largest(k: int, s: int, error: float, direction: str, level: float, seed: int) -> None:
    """Also those that are far above the small values and near the large ones."""
    generator = torch.Generator().manual_seed(seed)
    h_bs = torch.randn(20, s, generator=generator, dtype=torch.float64) + level
    is_large_bs = h_bs >= h_bs.sort(dim=1, descending=True).values[:, k - 1 : k]
    e_b1, n_s1, g_s = torch.full((20, 1), error), torch.rand(s, 1, generator=generator), torch.full((s,), error / 4)
    place_bs = torch.rand(20, s, generator=generator)  # of a value between its bounds
    if direction != "random":
        place_bs = (is_large_bs == (direction == "apart")).float()
    upper_bs = h_bs + 2 * (e_b1 * n_s1.T + g_s) * (1 - place_bs)
    latents_bc, kept_bc, sure_b = screen(upper_bs.bfloat16(), k, e_b1, n_s1, g_s)
    assert (kept_bc.sum(1) >= k).all()
    assert sure_b.all() or s > 2 * k
    candidates_bs = torch.zeros_like(is_large_bs).scatter(1, latents_bc, kept_bc)
    assert candidates_bs[sure_b][is_large_bs[sure_b]].all()


def test_screening_decides_most_and_asks_the_whole_product_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.nn.pre_activations.PRE_ACTIVATION_BYTES", {"cpu": 2**24})
    asked = []
    addmm = torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda *a, **more: asked.append(a[1]) or addmm(*a, **more))
    for kind, numbers in (("normal", [0]), ("alike", range(8, 16)), ("close", [64])):
        asked.clear()
        ScreenedProduct(*factors(kind, 64, 100, 1000, 0)).largest(32)
        assert sum(len(z_rd) for z_rd in asked if z_rd.dtype == torch.float32) in numbers, kind


@given(
    kind=st.sampled_from(KINDS),
    b=st.sampled_from([1, 16, 200]),
    s=st.sampled_from([32, 100, 2048]),
    k=st.integers(1, 5),
    last=st.sampled_from([0.3, 0.9, 1.0, 1.05]),
    seed=st.integers(0, 10_000),
)
def test_a_batch_keeps_the_same_whatever_was_kept_last(
    kind: str, b: int, s: int, k: int, last: float, seed: int
) -> None:
    """A run that goes on after a kill has forgotten it."""
    h = ScreenedProduct(*factors(kind, b, 20, s, seed))
    fresh, warm = PerBatch(k), PerBatch(k)
    pattern, values_n = fresh.select(h, k)
    warm._last = last * fresh._last
    again, values_again_n = warm.select(h, k)
    assert torch.equal(pattern.latents_n, again.latents_n)
    assert torch.equal(pattern.offsets, again.offsets)
    assert torch.equal(values_n, values_again_n)
    assert torch.equal(fresh.threshold, warm.threshold)
    h_bs, error_b1 = in_float64(*factors(kind, b, 20, s, seed))
    assert len(values_n) >= min(k * b, int((h_bs > error_b1).sum()))
    if len(values_n):
        assert values_n.min() >= h_bs.flatten().sort(descending=True).values[k * b - 1] - error_b1.max()


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("find", [lambda h: h.largest(3)[0], lambda h: h.above(1.0).values_n])
def test_what_is_no_finite_number_is_treated_as_by_the_exact_product(
    find: Callable[[object], Tensor], value: float
) -> None:
    z, W, b_s = factors("normal", 250, 16, 64, 0)
    z[7, 3] = value
    found, expected = find(ScreenedProduct(z, W, b_s)), find(Product(z, W, b_s, torch.float32))
    assert found.isnan().sum() == expected.isnan().sum()
    assert found.isinf().sum() == expected.isinf().sum()
    assert found.shape == expected.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("enabled", [False, True])
def test_only_float32_is_screened(dtype: torch.dtype, enabled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saev.nn.selecting.screening_pays", lambda *a: True)
    sae, z_bd = TopK(8, 32, k=2).to(dtype), torch.randn(5, 8, dtype=dtype)
    with torch.autocast("cpu", enabled=enabled):
        found = sae._pre_activations(z_bd, 2)
    assert isinstance(found, ScreenedProduct) == (dtype == torch.float32 and not enabled)


def test_screening_needs_many_latents_and_a_processor_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for able in (True, False):
        monkeypatch.setattr("saev.nn.screening.multiplies_bfloat16", lambda able=able: able)
        assert screening_pays(32, torch.empty(768, 12_288)) == able
        assert not screening_pays(32, torch.empty(768, 1024))
        assert not screening_pays(1, torch.empty(8, 1024))
