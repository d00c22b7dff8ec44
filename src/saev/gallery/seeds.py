"""In how many SAEs of other seeds each latent is found again, and how closely.

Shape suffixes: s = d_sae.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch

from saev.artifacts import differ_in_seed
from saev.gallery.data import Seeds
from saev.latents.seeds import LEAST_COSINE, is_other_seed, matches
from saev.metrics import nearest
from saev.nn import SparseAutoencoder
from saev.vit.weights import weights_digest


def seeds_of(saes: Mapping[str, SparseAutoencoder], others: Sequence[SparseAutoencoder] = ()) -> dict[str, Seeds]:
    """For each SAE that has others of its configuration but for the seed, in how many of them its latents are found.

    Args:
        saes: SAEs by name.
        others: More SAEs, as `saev.latents.seeds.check_seeds` lets them pass; those that are among `saes` count once.
    """
    digests = {name: weights_digest(sae) for name, sae in saes.items()}
    more = {digest: sae for sae in others if (digest := weights_digest(sae)) not in digests.values()}
    counts: dict[str, list[torch.Tensor]] = {name: [] for name in saes}
    cosines: dict[str, list[torch.Tensor]] = {name: [] for name in saes}
    for one, other in combinations(saes, 2):
        if differ_in_seed(saes[one], saes[other]):
            match_s = matches(saes[one], saes[other])
            counts[one].append(match_s >= 0)
            counts[other].append(_is_match(match_s, saes[other].d_sae))
            cosines[one].append(_largest_cosine(saes[one], saes[other]))
            cosines[other].append(_largest_cosine(saes[other], saes[one]))
    for sae in more.values():
        for name, own in saes.items():
            if is_other_seed(own, sae):
                counts[name].append(matches(own, sae) >= 0)
                cosines[name].append(_largest_cosine(own, sae))
    return {
        name: Seeds(
            len(found), LEAST_COSINE, torch.stack(found).sum(0).numpy(), torch.stack(cosines[name]).mean(0).numpy()
        )
        for name, found in counts.items()
        if found
    }


def _largest_cosine(one: SparseAutoencoder, other: SparseAutoencoder) -> torch.Tensor:
    """(s,) of each decoder direction with those of the other SAE."""
    return nearest(one.W_dec.detach(), other.W_dec.detach().to(one.W_dec.device)).cosines[:, 0].cpu()


def _is_match(match_s: torch.Tensor, n: int) -> torch.Tensor:
    """(n,) which of the latents of the other SAE are somebody's match."""
    found = torch.zeros(n, dtype=torch.bool)
    found[match_s[match_s >= 0]] = True
    return found
