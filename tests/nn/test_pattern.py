"""Products over selected entries against the same ones of dense matrices, in float64.

Shape suffixes: b = tokens, n = selected entries, d = width, s = latents, g = groups.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from saev.nn.pattern import Pattern, combine, encode_selected
from saev.nn.prefixes import nested_loss, nested_reconstructions


def draw(b: int, s: int, share: float, seed: int) -> tuple[Pattern, torch.Generator]:
    """A pattern with any number of entries in each row, none in some."""
    generator = torch.Generator().manual_seed(seed)
    rows_n, latents_n = (torch.rand(b, s, generator=generator) < share).nonzero(as_tuple=True)
    return Pattern.of_sorted(rows_n, latents_n, b, s), generator


def doubles(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


patterns = given(st.integers(1, 9), st.integers(1, 12), st.sampled_from([0.0, 0.2, 1.0]), st.integers(0, 1000))


@patterns
def test_rows_and_latents(b: int, s: int, share: float, seed: int) -> None:
    pattern, _ = draw(b, s, share, seed)
    dense = pattern.dense(torch.arange(1, len(pattern.latents_n) + 1))
    rows_n, latents_n = dense.nonzero(as_tuple=True)
    assert pattern.n_rows == b
    assert torch.equal(pattern.rows_n, rows_n) and torch.equal(pattern.latents_n, latents_n)
    order_n, offsets = pattern.by_latent
    for latent in range(s):
        entries = order_n[offsets[latent] : offsets[latent + 1]]
        assert torch.equal(pattern.rows_n[entries], dense[:, latent].nonzero().squeeze(1))


@patterns
def test_combine_is_a_product_with_the_dense_codes(b: int, s: int, share: float, seed: int) -> None:
    pattern, generator = draw(b, s, share, seed)
    values, W = (
        doubles(len(pattern.latents_n), generator=generator),
        doubles(s, 5, generator=generator),
    )
    weights = doubles(b, 5, generator=generator).detach()
    out = combine(values, W, pattern)
    expected = pattern.dense(values) @ W
    torch.testing.assert_close(out, expected)
    for found, wanted in zip(
        torch.autograd.grad((out * weights).sum(), (values, W)),
        torch.autograd.grad((expected * weights).sum(), (values, W)),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


@patterns
@pytest.mark.parametrize("known", [False, True])
def test_selected_pre_activations_are_entries_of_a_product(
    known: bool, b: int, s: int, share: float, seed: int
) -> None:
    pattern, generator = draw(b, s, share, seed)
    x, W, bias = (doubles(*shape, generator=generator) for shape in ((b, 5), (s, 5), (s,)))
    weights = doubles(len(pattern.latents_n), generator=generator).detach()
    expected = (x @ W.T + bias)[pattern.rows_n, pattern.latents_n]
    out = encode_selected(x, W, bias, pattern, expected.detach() if known else None)
    torch.testing.assert_close(out, expected)
    for found, wanted in zip(
        torch.autograd.grad((out * weights).sum(), (x, W, bias)),
        torch.autograd.grad((expected * weights).sum(), (x, W, bias)),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


def test_a_transposed_matrix_of_weights_gives_the_same() -> None:
    """W_enc.T is one."""
    pattern, generator = draw(6, 7, 0.5, 0)
    x, W_ds = doubles(6, 5, generator=generator), doubles(5, 7, generator=generator)
    expected = (x @ W_ds)[pattern.rows_n, pattern.latents_n]
    torch.testing.assert_close(encode_selected(x, W_ds.T, torch.zeros(7).double(), pattern), expected)
    torch.testing.assert_close(encode_selected(x, W_ds.T.contiguous(), torch.zeros(7).double(), pattern), expected)


@patterns
def test_nested_reconstructions_are_those_of_masked_codes(b: int, s: int, share: float, seed: int) -> None:
    pattern, generator = draw(b, s, share, seed)
    values, W = doubles(len(pattern.latents_n), generator=generator), doubles(s, 5, generator=generator)
    z = doubles(b, 5, generator=generator).detach()
    group_n = torch.randint(3, (len(pattern.latents_n),), generator=generator)
    out = nested_reconstructions(values, pattern, group_n, 3, W)
    expected = torch.stack([pattern.dense(values * (group_n <= group)) @ W for group in range(3)], dim=1)
    assert out.shape == (b, 3, 5)
    torch.testing.assert_close(out, expected)
    loss = sum((expected[:, group] - z).square().mean() for group in range(3)) / 3
    torch.testing.assert_close(nested_loss(z, out), loss)
    for found, wanted in zip(
        torch.autograd.grad(nested_loss(z, out), (values, W)), torch.autograd.grad(loss, (values, W)), strict=True
    ):
        torch.testing.assert_close(found, wanted)
