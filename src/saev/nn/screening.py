"""Which pre-activations are the largest, found by a product in bfloat16 and decided in float32.

Shape suffixes: b = tokens of a batch, r = tokens of a block, u = unsure ones among them, d = d_in, s = d_sae,
c = candidates, k = active latents of a token, n = entries.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import final

import torch
from torch import Tensor
from typing_extensions import override

from saev.nn.pattern import Pattern, encode_selected
from saev.nn.pre_activations import Entries, PreActivations, Product, entries_above

ROUNDOFF = 2.0**-8  # What a float32 differs from its nearest bfloat16, at most, relative to this.
MOST_UNSURE = 0.25  # Share of a block's tokens; with more the exact product is quicker.
# With fewer latents for each one that is looked for, or fewer weights, the candidates take longer than the product.
LEAST_LATENTS, LEAST_WEIGHTS = 64, 2**19
MOST_LOOSE = 0.01  # Share of a batch's tokens with an error near the bound.


@final
class ScreenedProduct(PreActivations):
    r"""What a product in float32 finds, at the speed of one in bfloat16.

    The product of factors rounded to bfloat16, :math:`\tilde z = z + \delta z`, is summed in float32 and rounded. By
    the inequality of Cauchy and Schwarz a rough pre-activation :math:`\hat h` is off by at most
    :math:`E + 2^{-8} |\hat h|`, where

    .. math::
        E = \|\delta z\| \max_s \|W_s\| + \|\tilde z\| \max_s \|\delta W_s\| + \max_s |\delta b_s|
        + 2^{-23} (d + 1) (\|z\| \max_s \|W_s\| + \max_s |b_s|)

    and the last term is for the sums (Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1). All
    that this may lift among the largest are candidates, whose values are computed again in float32 and decide. A token
    with too many candidates has its whole product in float32.

    Args:
        z_bd: Tokens, float32.
        W_ds: Weights, float32.
        b_s: Biases, float32.
    """

    def __init__(self, z_bd: Tensor, W_ds: Tensor, b_s: Tensor) -> None:
        super().__init__((len(z_bd), len(b_s)))
        self.rough = Product(z_bd, W_ds, b_s, torch.bfloat16)
        self.exact = Product(z_bd, W_ds, b_s, torch.float32)
        z_b1, W, b = norm(z_bd, 1), norm(W_ds, 0).max(), b_s.abs().max()
        dz_b1, dW = norm(self.rough.z_bd - z_bd, 1), norm(self.rough.W_ds - W_ds, 0).max()
        db = (self.rough.b_s - b_s).abs().max()
        self.sums_b1 = 2.0**-23 * (z_bd.shape[1] + 1) * (z_b1 * W + b)
        self.error_b1 = dz_b1 * W + (z_b1 + dz_b1) * dW + db + self.sums_b1

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
        product, error_b1 = self.rough, self.error_b1 + ROUNDOFF * bound
        if not error_b1.isfinite().all() or (error_b1 > bound / 4).float().mean() > MOST_LOOSE:
            product, error_b1 = self.exact, self.sums_b1
        found = entries_above(zip(product.blocks(), torch.split(bound - error_b1, product.rows), strict=True))
        values_n = self._values(found.rows_n, found.latents_n)
        kept_n = values_n > 0
        return Entries(values_n[kept_n], found.rows_n[kept_n], found.latents_n[kept_n])

    def _candidates(self, k: int) -> tuple[Tensor, Tensor]:
        """Latents (b, c) and which of them (b, c) may be among the k largest; at least k of a token."""
        parts = []
        errors = torch.split(self.error_b1, self.rough.rows)
        tokens = torch.split(self.exact.z_bd, self.rough.rows)
        for h_rs, error_r1, z_rd in zip(self.rough.blocks(), errors, tokens, strict=True):
            latents_rc, kept_rc, sure_r = screen(h_rs, k, error_r1)
            unsure_u = (~sure_r).nonzero().squeeze(1)
            if len(unsure_u) > MOST_UNSURE * len(sure_r):
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
        """Exact ones of entries that are sorted by row; those of a pair do not depend on the other pairs."""
        pattern = Pattern.of_sorted(rows_n, latents_n, *self.shape)
        return encode_selected(self.exact.z_bd, self.exact.W_ds.T, self.exact.b_s, pattern)


def norm(x: Tensor, dim: int) -> Tensor:
    """At least the Euclidean norm, whose squares may be too small for float32; the other dimension stays."""
    found: Tensor = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    return found + x.shape[dim] ** 0.5 * 2.0**-62


def screen(h_rs: Tensor, k: int, error_r1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Candidates for the k largest of each row of rough values.

    Args:
        h_rs: Rough values, bfloat16, off by at most the error and `ROUNDOFF` of themselves.
        k: How many of a row.
        error_r1: Of each row.

    Returns:
        Latents (r, c), the largest rough values first; which of them (r, c) may be among the k largest; and in
        which rows (r,) no other latent may be.
    """
    c = min(2 * k, h_rs.shape[1])
    rough = h_rs.topk(c)
    if c == h_rs.shape[1]:
        everything = torch.ones_like(rough.indices, dtype=torch.bool)
        return rough.indices, everything, everything[:, 0]
    values_rc = rough.values.float()
    kth_r1, last_r1 = values_rc[:, k - 1 : k], values_rc[:, -1:]
    # From the k-th on exact values reach at least the first half of this lower, and none below all of it reaches that.
    bound_r1 = kth_r1 - 2 * (error_r1 + ROUNDOFF * torch.maximum(kth_r1.abs(), last_r1.abs()))
    return rough.indices, values_rc >= bound_r1, (last_r1 < bound_r1).squeeze(1)


def screening_pays(k: int, W_ds: Tensor) -> bool:
    """Whether finding k latents of a token takes less time with screening, on this processor."""
    return W_ds.shape[1] >= LEAST_LATENTS * k and W_ds.numel() >= LEAST_WEIGHTS and multiplies_bfloat16()


@cache
def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it, so that it is at least twice as fast as float32."""
    has: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older versions of torch
    return bool(torch.backends.mkldnn.enabled) and bool(has.get("avx512_bf16") or has.get("amx_bf16"))
