"""In how many SAEs of other seeds each latent is found again."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import torch

from saev.artifacts import differ_in_seed, provenance_of
from saev.errors import InputError
from saev.gallery.data import Seeds
from saev.metrics import one_to_one
from saev.nn import SparseAutoencoder
from saev.vit.weights import weights_digest

LEAST_COSINE: Final = 0.7
"""From this cosine on, two decoder directions are the same feature, as in Paulo and Belrose 2025
(https://arxiv.org/abs/2501.16615)."""


def seeds_of(saes: Mapping[str, SparseAutoencoder], others: Sequence[SparseAutoencoder] = ()) -> dict[str, Seeds]:
    """For each SAE that has others of its configuration but for the seed, in how many of them its latents are found.

    Args:
        saes: SAEs by name.
        others: More SAEs, as `check_seeds` lets them pass; those that are among `saes` count once.
    """
    digests = {name: weights_digest(sae) for name, sae in saes.items()}
    more = {digest: sae for sae in others if (digest := weights_digest(sae)) not in digests.values()}
    counts: dict[str, list[torch.Tensor]] = {name: [] for name in saes}
    for one, other in combinations(saes, 2):
        if differ_in_seed(saes[one], saes[other]):
            matches = _matches(saes[one], saes[other])
            counts[one].append(matches >= 0)
            counts[other].append(_is_match(matches, saes[other].d_sae))
    for sae in more.values():
        for name, own in saes.items():
            if is_other_seed(own, sae):
                counts[name].append(_matches(own, sae) >= 0)
    return {
        name: Seeds(len(found), LEAST_COSINE, torch.stack(found).sum(0).numpy())
        for name, found in counts.items()
        if found
    }


def check_seeds(others: Sequence[SparseAutoencoder], saes: Mapping[str, SparseAutoencoder]) -> None:
    """Check whether each of some SAEs is another seed of one of `saes`, or one of them.

    Raises:
        InputError: For the first one that is not.
    """
    own = {weights_digest(sae) for sae in saes.values()} if others else set()
    for sae in others:
        if weights_digest(sae) not in own and not any(is_other_seed(one, sae) for one in saes.values()):
            seed = provenance_of(sae).training.get("seed", "unknown")
            raise InputError(
                f"an SAE of seeds ({type(sae).__name__}, {sae.d_sae:,} latents, seed {seed}) differs in more than its "
                f"seed, or not in it, from each SAE that is rendered ({', '.join(saes)}): give SAEs of the same options"
            )


def is_other_seed(one: SparseAutoencoder, other: SparseAutoencoder) -> bool:
    """Whether two SAEs are of one configuration but for the seed, as far as is known of how they were trained."""
    first, second = provenance_of(one), provenance_of(other)
    known = [(getattr(first, name), getattr(second, name)) for name in ("layers", "tokens")]
    if any(mine and theirs and mine != theirs for mine, theirs in known):
        return False
    if first.training and second.training:
        return differ_in_seed(one, other)
    return type(one) is type(other) and one.d_in == other.d_in and one.options() == other.options()


def _matches(one: SparseAutoencoder, other: SparseAutoencoder) -> torch.Tensor:
    return one_to_one(one.W_dec.detach(), other.W_dec.detach().to(one.W_dec.device), LEAST_COSINE)


def _is_match(matches: torch.Tensor, n: int) -> torch.Tensor:
    """(n,) which of the latents of the other SAE are somebody's match."""
    found = torch.zeros(n, dtype=torch.bool)
    found[matches[matches >= 0]] = True
    return found
