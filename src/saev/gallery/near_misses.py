"""How near latents come to firing on pictures on which they are silent.

The pre-activation of a picture is the largest one of its tokens; `silence` says what it is in an architecture.

Shape suffixes: a = latents, c = pairs of a picture and a latent, t = tokens of a picture, q = pictures of one latent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from saev.latents.sparse import Spots
from saev.nn import ReLU, SparseAutoencoder
from saev.nn.functional import images_at_once
from saev.nn.selecting import SelectingAutoencoder
from saev.nn.selection import PerToken
from saev.progress import progress_bar
from saev.shards.tokens import TokenSelection

Ints = NDArray[np.int64]


@final
@dataclass(frozen=True)
class Pairs:
    """Pictures and latents that are looked at together."""

    latents_a: Ints
    places_c: Ints  # The picture of each pair, as a place among pictures, ascending.
    rows_c: Ints  # Its latent, as a place in `latents_a`, ascending within a picture.


@final
@dataclass(frozen=True)
class NearMisses:
    """The pre-activations of one latent on pictures on which it is silent."""

    places_q: Ints  # The pictures, as places, ascending.
    values_q: NDArray[np.float32]  # float32.
    patches_q: Ints  # Where it is largest, as a place among the patches.


@final
class PreActivations:
    """Pre-activations of pairs, by latent."""

    def __init__(self, pairs: Pairs, values_c: NDArray[np.float32], patches_c: Ints) -> None:
        order = np.argsort(pairs.rows_c, kind="stable")
        self._places_c, self._values_c, self._patches_c = pairs.places_c[order], values_c[order], patches_c[order]
        self._starts_a = np.searchsorted(pairs.rows_c[order], np.arange(len(pairs.latents_a) + 1))

    def of(self, row: int) -> NearMisses:
        """Those of a latent, given by its place among the latents of the pairs."""
        own = slice(*self._starts_a[row : row + 2].tolist())
        return NearMisses(self._places_c[own], self._values_c[own], self._patches_c[own])


def silence(sae: SparseAutoencoder) -> str:
    """When latents of an SAE are silent, in a sentence."""
    if isinstance(sae, SelectingAutoencoder):
        if isinstance(sae.selection, PerToken):
            return (
                f"This SAE keeps the {sae.k} largest pre-activations of a patch: a latent can be silent though its own "
                "is large, because those of others are larger."
            )
        return "This SAE keeps pre-activations above a cut that all latents have in common."
    if isinstance(sae, ReLU):
        return "A latent of this SAE is silent where its pre-activation is 0 or less."
    return f"A pre-activation says how much a patch speaks for a latent; {type(sae).__name__} decides which ones count."


@torch.no_grad()
def pre_activations(
    sae: SparseAutoencoder,
    tokens: TokenSelection,
    spots: Spots,
    images: Ints,
    pairs: Pairs,
    what: str | None,
    check: Callable[[], None] = lambda: None,
) -> PreActivations:
    """Look at pairs; each picture is read once, and encoded for its latents alone.

    Args:
        tokens: The recording, and which of the tokens.
        spots: Which of these are patches: where there are any, other tokens do not count.
        what: Names the progress bar; None shows none.
        check: Called before each batch; what it raises ends the look.

    Raises:
        InputError: If a shard is damaged.
    """
    values_c = np.empty(len(pairs.places_c), dtype=np.float32)
    patches_c = np.empty(len(pairs.places_c), dtype=np.int64)
    places, starts = np.unique(pairs.places_c, return_index=True)
    stops = np.append(starts[1:], len(pairs.places_c))
    at_once = images_at_once(sae.d_sae, len(tokens.positions))
    with progress_bar(total=len(places), desc=what, unit=" images", disable=what is None) as progress:
        for first in range(0, len(places), at_once):
            check()
            some = slice(first, first + at_once)
            x_btd = torch.cat(list(tokens.read(images[places[some]])))[:, spots.ranked.start : spots.ranked.stop]
            for x_td, start, stop in zip(x_btd, starts[some].tolist(), stops[some].tolist(), strict=True):
                own = slice(start, stop)
                values_c[own], patches_c[own] = _of_picture(sae, x_td, pairs.latents_a[pairs.rows_c[own]])
                progress.update()
    return PreActivations(pairs, values_c, patches_c)


def _of_picture(sae: SparseAutoencoder, x_td: torch.Tensor, latents: Ints) -> tuple[NDArray[np.float32], Ints]:
    z_td = sae.normalize(x_td.to(sae.mean_d.device))
    chosen = torch.from_numpy(latents).to(z_td.device)
    if 2 * len(latents) > sae.d_sae:  # rows of the encoder are copied for a choice
        values, patches = sae.pre_activations(z_td).max(0)
        values, patches = values[chosen], patches[chosen]
    else:
        values, patches = sae.pre_activations(z_td, chosen).max(0)
    return values.float().cpu().numpy(), patches.cpu().numpy()
