"""Which pre-activations are the largest, found by a product in bfloat16 and decided in float32.

Shape suffixes: b = tokens of a batch, r = tokens of a block, u = unsure ones among them, d = d_in, s = d_sae,
c = candidates, k = active latents of a token, n = entries.
"""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from saev.nn.pattern import Pattern, encode_selected
from saev.nn.pre_activations import Entries, PreActivations, Product, entries_above

ROUNDOFF = 2.0**-8  # What a float32 differs from its nearest bfloat16, at most, relative to either.
# With fewer latents for each one that is looked for, or fewer weights, the candidates take longer than the product.
MIN_LATENTS, MIN_WEIGHTS = 128, 2**22
CANDIDATES = 2  # Times k.
MAX_UNSURE_SHARE = 0.25  # Share of a block's tokens; with more the exact product is quicker.
MAX_LOOSE_SHARE = 0.01  # Share of a batch's tokens with an error near the bound.


@final
class ScreenedProduct(PreActivations):
    r"""What a product in float32 finds, at the speed of one in bfloat16.

    The product of factors rounded to bfloat16, :math:`\tilde z = z + \delta z`, is summed in float32. By the inequality
    of Cauchy and Schwarz it is off by at most :math:`e_b n_s + g_s` with

    .. math::
        n_s = \|W_s\|, \quad
        e_b = \|\delta z_b\| + \|\tilde z_b\| \max_s \|\delta W_s\| / \|W_s\| + 2^{-23} (d + 2) \|z_b\|,

    where the last term is for the sums (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1) and
    :math:`g` for the biases. With :math:`e` as another column of the tokens, :math:`n` as another row of the weights,
    and :math:`g` added to the biases the product gives upper bounds. A latent whose upper bound is below the lower
    bounds of k others is not among the k largest; the values of all others are computed again in float32 and decide. A
    token with too many of them has its whole product in float32.

    Args:
        z_bd: Tokens, float32.
        W_ds: Weights, float32.
        b_s: Biases, float32.
    """

    def __init__(self, z_bd: Tensor, W_ds: Tensor, b_s: Tensor) -> None:
        super().__init__((len(z_bd), len(b_s)))
        self.exact = Product(z_bd, W_ds, b_s, torch.float32)
        z_low_bd, W_low_sd = z_bd.bfloat16(), W_ds.T.bfloat16()
        z_b1, dz_b1 = norm(z_bd), norm(z_low_bd - z_bd)
        n_s1, dn_s1 = norm(W_ds.T), norm(W_low_sd - W_ds.T)
        share = (dn_s1 / n_s1).max().clamp_max(ROUNDOFF)
        self.sums_b1 = 2.0**-23 * (z_bd.shape[1] + 2) * z_b1
        e_b1 = dz_b1 + (z_b1 + dz_b1) * share + self.sums_b1
        self.e_b1, self.n_s1 = rounded_up(e_b1), rounded_up(n_s1)
        upper_s = rounded_up(b_s)
        self.rough = Product(
            torch.cat([z_low_bd, self.e_b1], 1), torch.cat([W_low_sd, self.n_s1], 1).T, upper_s, torch.bfloat16
        )
        self.g_s = upper_s - b_s

    @override
    def blocks(self) -> Iterator[Tensor]:
        return self.exact.blocks()

    @override
    def largest(self, k: int) -> tuple[Tensor, Tensor]:
        latents_bc, kept_bc = self._candidates(k)
        values_bc = torch.full(kept_bc.shape, -torch.inf, dtype=torch.float32, device=kept_bc.device)
        values_bc[kept_bc] = self._values(kept_bc.nonzero()[:, 0], latents_bc[kept_bc])
        values_bk, places_bk = values_bc.topk(k, sorted=False)
        return values_bk, latents_bc.gather(1, places_bk)

    @override
    def above(self, bound: float) -> Entries:
        error_b1 = self.e_b1.float() * self.n_s1.float().mean()
        if not error_b1.isfinite().all() or (error_b1 > bound / 4).float().mean() > MAX_LOOSE_SHARE:
            bounds = torch.split(bound - self.sums_b1 * self.n_s1.float().max(), self.exact.rows)
            found = entries_above(zip(self.exact.blocks(), bounds, strict=True))
        else:
            found = self.rough.above((1 - ROUNDOFF) * bound)
        values_n = self._values(found.rows_n, found.latents_n)
        kept_n = values_n > 0
        return Entries(values_n[kept_n], found.rows_n[kept_n], found.latents_n[kept_n])

    def _candidates(self, k: int) -> tuple[Tensor, Tensor]:
        """Latents (b, c) and which of them (b, c) may be among the k largest; at least k of a token."""
        parts = []
        errors, tokens = (torch.split(x, self.rough.rows) for x in (self.e_b1, self.exact.z_bd))
        for h_rs, e_r1, z_rd in zip(self.rough.blocks(), errors, tokens, strict=True):
            latents_rc, kept_rc, sure_r = screen(h_rs, k, e_r1, self.n_s1, self.g_s)
            unsure_u = (~sure_r).nonzero().squeeze(1)
            if len(unsure_u) > MAX_UNSURE_SHARE * len(sure_r):
                _, latents_bk = self.exact.largest(k)
                return latents_bk, torch.ones_like(latents_bk, dtype=torch.bool)
            if len(unsure_u):
                h_us = torch.addmm(self.exact.b_s, z_rd[unsure_u], self.exact.W_ds)
                latents_rc[unsure_u, :k] = h_us.topk(k, sorted=False).indices
                kept_rc[unsure_u] = torch.arange(kept_rc.shape[1], device=kept_rc.device) < k
            parts.append((latents_rc, kept_rc))
        latents, kept = zip(*parts, strict=True)
        return torch.cat(latents), torch.cat(kept)

    def _values(self, rows_n: Tensor, latents_n: Tensor) -> Tensor:
        """Exact pre-activations of entries that are sorted by row; no entry depends on the others."""
        pattern = Pattern.of_sorted(rows_n, latents_n, *self.shape)
        return encode_selected(self.exact.z_bd, self.exact.W_ds.T, self.exact.b_s, pattern)


def norm(x_nd: Tensor) -> Tensor:
    """At least the Euclidean norms (n, 1) of rows, whose squares may be too small for float32."""
    norms_n1: Tensor = torch.linalg.vector_norm(x_nd, dim=1, keepdim=True)
    return norms_n1 + math.sqrt(x_nd.shape[1]) * 2.0**-62


def rounded_up(x: Tensor) -> Tensor:
    """In bfloat16, not below x; the rounded product of two such numbers is not below the exact one either."""
    return (x + 2 * ROUNDOFF * x.abs()).bfloat16()


def screen(upper_rs: Tensor, k: int, e_r1: Tensor, n_s1: Tensor, g_s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates for the k largest of each row.

    Args:
        upper_rs: Upper bounds, rounded to bfloat16.
        k: How many of a row.
        e_r1: Values are at most ``2 * (e * n + g)`` below their upper bounds.
        n_s1: See e_r1.
        g_s: See e_r1.

    Returns:
        Latents (r, c); which of them (r, c) may be among the k largest; and in which rows (r,) no other latent may be:
        in none whose error is infinite, where the bounds are infinite or NaN.
    """
    c = min(CANDIDATES * k, upper_rs.shape[1])
    top = upper_rs.topk(c)
    if c == upper_rs.shape[1]:
        everything = torch.ones_like(top.indices, dtype=torch.bool)
        return top.indices, everything, everything[:, 0]
    upper_rc = top.values.float()
    rounding_rc = ROUNDOFF * upper_rc.abs()
    width_rc = 2 * (e_r1.float() * n_s1.float().squeeze(1)[top.indices] + g_s[top.indices])
    least_r1 = (upper_rc - rounding_rc - width_rc).topk(k).values[:, -1:]  # which k values reach
    most_rc = upper_rc + rounding_rc
    return top.indices, most_rc >= least_r1, (most_rc[:, -1:] < least_r1).squeeze(1)


def screening_pays(k: int, W_ds: Tensor) -> bool:
    """Whether finding k latents of a token takes less time with screening, on this processor."""
    return W_ds.shape[1] >= MIN_LATENTS * k and W_ds.numel() >= MIN_WEIGHTS and multiplies_bfloat16()


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it, so that it is at least twice as fast as float32."""
    has: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older versions of torch
    return bool(torch.backends.mkldnn.enabled) and bool(has.get("avx512_bf16") or has.get("amx_bf16"))
