"""One pass over recorded images, for all SAEs at once."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from saev.gallery.options import RenderOptions
from saev.latents.encoding import encoded
from saev.latents.heatmaps import patch_positions
from saev.latents.labels import Labels
from saev.latents.survey import LatentSurvey, Spots
from saev.nn import SparseAutoencoder
from saev.shards.tokens import TokenSelection


def chosen_images(tokens: TokenSelection, options: RenderOptions) -> TokenSelection:
    """The images that are looked at, with all of their tokens of the kind that is selected."""
    return replace(tokens, kept=None).subset(options.n_images, options.seed)


def survey_images(
    saes: Mapping[str, SparseAutoencoder],
    tokens: TokenSelection,
    labels: Labels,
    options: RenderOptions,
    rank: int = 0,
    world_size: int = 1,
) -> dict[str, LatentSurvey]:
    """What the latents of SAEs do on the images that are looked at, or on this process's share of these.

    Args:
        saes: SAEs of one width, by name; one or more.
        tokens: A recording, and which of its tokens.
        labels: Those of the recording.
        options: How many images, and what is kept for each latent.
        rank: The number of this process.
        world_size: Processes that divide the images.

    Raises:
        InputError: If a code is not finite or a shard is damaged.
    """
    chosen = chosen_images(tokens, options)
    own = chosen.take(np.array_split(np.arange(len(chosen.examples)), world_size)[rank])
    spots = spots_of(tokens)
    surveys = {
        name: LatentSurvey(
            sae.d_sae,
            spots,
            top_k=min(options.top_k, len(chosen.examples)),
            n_image_labels=len(labels.names),
            n_patch_labels=len(labels.patch_names) if spots.patches else 0,
            seed=options.seed,
        )
        for name, sae in saes.items()
    }
    for ids_b, codes in encoded(list(saes.values()), own, "surveying"):
        image_labels = torch.from_numpy(labels.numbers[ids_b])
        numbers_bc = labels.of_patches(ids_b) if spots.patches else None
        patch_labels = None if numbers_bc is None else torch.from_numpy(numbers_bc)
        for survey, f_bts in zip(surveys.values(), codes, strict=True):
            survey.update(f_bts, torch.from_numpy(ids_b), image_labels, patch_labels)
    return surveys


def spots_of(tokens: TokenSelection) -> Spots:
    """Where the CLS token and the patches stand among the selected positions."""
    patches = patch_positions(tokens)
    layout = tokens.reader.layout.tokens
    has_cls = layout.cls and tokens.positions.start == 0 and len(tokens.positions) > 0
    return Spots(len(tokens.positions), range(patches.start, patches.stop), 0 if has_cls else None)
