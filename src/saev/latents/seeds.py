"""SAEs that differ in their seed alone, and which latents they have in common."""

from collections.abc import Mapping, Sequence
from typing import Final

import torch

from saev.artifacts import differ_in_seed, provenance_of
from saev.errors import InputError
from saev.metrics import one_to_one
from saev.nn import SparseAutoencoder
from saev.vit.weights import weights_digest

LEAST_COSINE: Final = 0.7
"""From this cosine on, two decoder directions are the same feature, as in Paulo and Belrose 2025
(https://arxiv.org/abs/2501.16615)."""


def check_seeds(others: Sequence[SparseAutoencoder], saes: Mapping[str, SparseAutoencoder]) -> None:
    """Raise InputError for the first SAE that is neither another seed of one of `saes` nor one of them."""
    own = {weights_digest(sae) for sae in saes.values()} if others else set()
    for sae in others:
        if weights_digest(sae) not in own and not any(is_other_seed(one, sae) for one in saes.values()):
            seed = provenance_of(sae).training.get("seed", "unknown")
            raise InputError(
                f"an SAE of seeds ({type(sae).__name__}, {sae.d_sae:,} latents, seed {seed}) differs in more than its "
                f"seed, or not in it, from each SAE that is looked at ({', '.join(saes)}): give SAEs of the same "
                "options"
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


def matches(one: SparseAutoencoder, other: SparseAutoencoder) -> torch.Tensor:
    """(s,) the latent of the other SAE that each latent is, one to one; -1 where it has none."""
    return one_to_one(one.W_dec.detach(), other.W_dec.detach().to(one.W_dec.device), LEAST_COSINE)
