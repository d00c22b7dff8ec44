"""Measures of a decoder without data: how alike its directions are, and whether another SAE found the same ones.

Shape suffixes: d = d_in, s = d_sae, r and t = latents of two SAEs, c = latents of a chunk.
"""

from collections.abc import Iterable
from typing import NamedTuple, Self

import torch
from torch import Tensor

from saev.errors import InputError
from saev.metrics.neighbours import cosine_chunks, nearest

N_CANDIDATES = 16  # Rows that a row may be matched with.
UNMATCHED = 1e-9  # What it counts if a row has no match.


class Coherence(NamedTuple):
    """Mean and maximum over latents of the largest cosine with another latent's direction."""

    mean: float
    max: float

    @classmethod
    def of(cls, nearest_s: Tensor) -> Self:
        """From the largest cosine of each latent."""
        return cls(nearest_s.mean().item(), nearest_s.max().item())


class Stability(NamedTuple):
    """How well the directions of two SAEs agree: means of cosines over latents, 1 where they are the same."""

    matched: float
    nearest: float


@torch.no_grad()
def decoder_coherence(w_sd: Tensor) -> Coherence:
    r"""How near the nearest other direction of a dictionary is; the rows (s, d) may have any norms.

    .. math:: c_i = \max_{j \neq i} \cos(w_i, w_j), \quad mean_i \, c_i, \quad \max_i c_i

    Raises:
        InputError: If there is no other row.
    """
    if len(w_sd) < 2:
        raise InputError(f"coherence compares rows with each other: 2 or more are needed, not {len(w_sd)}")
    return Coherence.of(nearest_other(w_sd, [w_sd], 0))


@torch.no_grad()
def nearest_other(w_rd: Tensor, parts: Iterable[Tensor], number: int) -> Tensor:
    """Largest cosine (r,) of each row of a part of a dictionary with another row of the whole one.

    Args:
        parts: All parts, equally large, one after the other.
        number: Which of them w_rd is.
    """
    own_r = torch.arange(len(w_rd))
    found = [_nearest(w_rd, w_td, own_r if i == number else None) for i, w_td in enumerate(parts)]
    return torch.stack(found).amax(0)


@torch.no_grad()
def nearest_stability(w_rd: Tensor, w_td: Tensor) -> float:
    r"""Mean over the rows of both dictionaries of the largest cosine with a row of the other one.

    .. math:: \tfrac 1 2 \big( mean_i \max_j \cos(w_i, v_j) + mean_j \max_i \cos(w_i, v_j) \big)

    Never less than the matched one for dictionaries of one size: several rows may have the same neighbour. The
    dictionaries (r, d) and (t, d) may have different sizes; it takes memory for a chunk of cosines.

    Raises:
        InputError: If their widths differ.
    """
    return ((_nearest(w_rd, w_td).mean() + _nearest(w_td, w_rd).mean()) / 2).item()


@torch.no_grad()
def stability(w_rd: Tensor, w_td: Tensor) -> Stability:
    r"""Agreement of two dictionaries (r, d) and (t, d), one to one, and by nearest neighbours.

    .. math:: matched = \max_\pi \frac 1 m \sum_{i=1}^m \cos(w_i, v_{\pi(i)}), \quad m = \min(r, t),

    over all one-to-one maps of the smaller dictionary into the larger one, found by the Hungarian algorithm (Fel et al.
    2025, https://arxiv.org/abs/2502.12892). Directions count, not lines: codes are not negative. It holds all r t
    cosines as float32 and, within scipy, as float64, and its time grows faster than their number: 14 s for 8,192
    latents. For more than 16,384 use `nearest_stability`.

    Raises:
        InputError: If their widths differ.
    """
    # Here and not above: it takes a while to import, and only this function needs it.
    from scipy.optimize import linear_sum_assignment

    cosines_rt = torch.cat(list(cosine_chunks(w_rd, w_td))).cpu().numpy()
    rows, columns = linear_sum_assignment(cosines_rt, maximize=True)
    return Stability(float(cosines_rt[rows, columns].mean()), nearest_stability(w_rd, w_td))


@torch.no_grad()
def one_to_one(w_rd: Tensor, w_td: Tensor, least: float) -> Tensor:
    r"""The match (r,) of each row in another dictionary, one to one; -1 where it has none.

    Matches have a cosine of at least `least`, and their cosines have the largest sum,

    .. math:: \max_M \sum_{(i, j) \in M} \cos(w_i, v_j), \quad \cos(w_i, v_j) \ge least > 0,

    over all sets M of pairs in which no row stands twice. It is the matching of the Hungarian algorithm, found among
    the few pairs that may count: of each row its 16 nearest ones. Takes memory for a chunk of cosines.

    Args:
        w_rd: Rows (r, d) of any norm.
        w_td: Rows (t, d), on the same device.
        least: Above 0.

    Raises:
        InputError: If their widths differ.

    >>> one_to_one(torch.eye(3), torch.tensor([[0.0, 0.0, 2.0], [1.0, 0.1, 0.0]]), 0.7).tolist()
    [1, -1, 0]
    """
    from scipy.sparse import coo_array  # here: they take a while to import
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    r, t = len(w_rd), len(w_td)
    found = nearest(w_rd, w_td, min(N_CANDIDATES, t))
    rows, places = torch.nonzero(found.cosines >= least, as_tuple=True)
    # A row may also be matched with a column of its own, which says that it has no match.
    weights = torch.cat([found.cosines[rows, places].double(), torch.full((r,), UNMATCHED, dtype=torch.float64)])
    own = torch.arange(r)
    both = torch.cat([rows, own]).numpy(), torch.cat([found.numbers[rows, places], own + t]).numpy()
    pairs = coo_array((weights.numpy(), both), shape=(r, t + r)).tocsr()
    columns = torch.from_numpy(min_weight_full_bipartite_matching(pairs, maximize=True)[1]).long()
    return torch.where(columns < t, columns, -1)


def _nearest(w_rd: Tensor, w_td: Tensor, own_r: Tensor | None = None) -> Tensor:
    """Largest cosine (r,) of each row with a row of the other, but for that with its own number there."""
    return torch.cat([cosines_ct.amax(1) for cosines_ct in cosine_chunks(w_rd, w_td, own_r)])
