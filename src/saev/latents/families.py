r"""Families of latents: those that decode to like directions and fire together, and a map on which they are near.

Latents i and j are linked as strongly as

.. math:: w_{ij} = \max(0, \cos(d_i, d_j) - c) + a_{ij}, \quad c = \sqrt{2 \ln n / d}

of their decoder directions d and their co-activation a, where one of both is among the nearest of the other in that
way, otherwise nothing; c is about the largest cosine of a direction with n random ones.

Shape suffixes: s = d_sae, a = latents whose nearest are known, k = nearest of each, e = links, 2 = places on the map.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from saev.metrics import Nearest

LEAST_LINK: Final = 0.3
"""Weaker links make no family."""
LATENTS_A_UNIT: Final = 64
"""Of so many latents the resolution is 1: families do not grow with the SAE."""
FEWEST: Final = 3
"""Members of a family."""
N_ROUNDS: Final = 200
N_REPELLED: Final = 5
_MOST_STEP: Final = 4.0

Floats = NDArray[np.float32]


def links(latents_a: NDArray[np.int64], decoders: Nearest, coactive: Nearest, d_sae: int, d_in: int) -> csr_array:
    """The links (s, s) of latents, symmetric.

    Args:
        decoders: Their nearest by decoder direction, with the cosines.
        coactive: Their nearest by co-activation.
        d_sae: s.
    """
    chance = np.float32(np.sqrt(2 * np.log(max(2, d_sae)) / d_in))
    both = csr_array((d_sae, d_sae), dtype=np.float32)
    for found, floor in ((decoders, chance), (coactive, np.float32(0))):
        rows_e = np.repeat(latents_a, found.numbers.shape[1])
        columns_e = found.numbers.cpu().numpy().reshape(-1)
        weights_e = found.cosines.float().cpu().numpy().reshape(-1) - floor
        kept_e = (columns_e >= 0) & (weights_e > 0)
        way = csr_array((weights_e[kept_e], (rows_e[kept_e], columns_e[kept_e])), shape=(d_sae, d_sae))
        both = both + way.maximum(way.T)
    return csr_array(both)


def families_of(linked: csr_array, seed: int = 0) -> NDArray[np.int32]:
    """(s,) the family of each latent, the largest first; -1 for those in none.

    Families are communities of strong links, by the method of Louvain (<https://arxiv.org/abs/0803.0476>).

    >>> pairs = [(0, 1), (1, 2), (0, 2), (3, 4)]
    >>> rows, columns = np.array(pairs + [(j, i) for i, j in pairs]).T
    >>> families_of(csr_array((np.ones(8), (rows, columns)), shape=(5, 5))).tolist()
    [0, 0, 0, -1, -1]
    """
    import networkx  # here: it takes a while to import

    found = coo_array(linked)
    kept_e = (found.data >= LEAST_LINK) & (found.row < found.col)
    graph = networkx.Graph()
    ends = (found.row[kept_e].tolist(), found.col[kept_e].tolist(), found.data[kept_e].tolist())
    graph.add_weighted_edges_from(zip(*ends, strict=True))
    resolution = max(1.0, len(np.unique(found.row)) / LATENTS_A_UNIT)
    communities = networkx.community.louvain_communities(graph, resolution=resolution, seed=seed)
    large = sorted((sorted(one) for one in communities if len(one) >= FEWEST), key=lambda one: (-len(one), one[0]))
    family_s = np.full(linked.shape[0], -1, dtype=np.int32)
    for number, members in enumerate(large):
        family_s[members] = number
    return family_s


def map_of(linked: csr_array, w_dec_sd: Floats, seed: int = 0) -> Floats:
    """(s, 2) places from 0 to 1 at which linked latents are near; NaN for those without links.

    The gradient is that of UMAP (<https://arxiv.org/abs/1802.03426>) with a = b = 1: links attract, random pairs repel.
    It starts from the two principal directions of the decoder.
    """
    found = coo_array(linked)
    rng = np.random.default_rng(seed)
    place_s2 = _principal(w_dec_sd)
    chance_e = found.data / max(float(found.data.max(initial=0.0)), 1e-30)
    alive = np.unique(found.row)
    for step in np.linspace(1, 0, N_ROUNDS, endpoint=False, dtype=np.float32) if len(alive) else ():
        drawn_e = rng.random(len(chance_e)) < chance_e
        own, other = found.row[drawn_e], found.col[drawn_e]
        apart = place_s2[own] - place_s2[other]
        force = _bounded(-2 * apart / (1 + _squared(apart)))
        away = place_s2[own] - place_s2[alive[rng.integers(0, len(alive), (N_REPELLED, len(own)))]]
        force += _bounded(2 * away / ((1e-3 + _squared(away)) * (1 + _squared(away)))).sum(0)
        for axis in (0, 1):
            total_s = np.bincount(own, weights=force[:, axis], minlength=len(place_s2))
            place_s2[:, axis] += step * _bounded(total_s)
    placed_s2 = np.full_like(place_s2, np.nan)
    if len(alive):
        low, high = place_s2[alive].min(0), place_s2[alive].max(0)
        placed_s2[alive] = (place_s2[alive] - low) / np.maximum(high - low, 1e-9)
    return placed_s2


def _principal(w_sd: Floats) -> Floats:
    """Directions (s, 2) along the two that vary most, at most 10 from 0."""
    units_sd = w_sd / np.maximum(np.linalg.norm(w_sd, axis=1, keepdims=True), 1e-30)
    centred_sd = units_sd - units_sd.mean(0)
    _, vectors_dd = np.linalg.eigh(centred_sd.T @ centred_sd)
    first_d2 = vectors_dd[:, -2:]
    # The sign of a vector is free: that of its largest entry is made positive.
    first_d2 = first_d2 * np.sign(np.take_along_axis(first_d2, np.abs(first_d2).argmax(0)[None], 0))
    place_s2: Floats = (centred_sd @ first_d2).astype(np.float32)
    place_s2 *= 10 / max(float(np.abs(place_s2).max()), 1e-30)
    return place_s2


def _squared(apart: NDArray[Any]) -> NDArray[Any]:
    found: NDArray[Any] = (apart * apart).sum(-1, keepdims=True)
    return found


def _bounded(force: NDArray[Any]) -> NDArray[Any]:
    return force.clip(-_MOST_STEP, _MOST_STEP)
