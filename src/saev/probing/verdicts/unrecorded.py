"""Codes of pictures that were never recorded, through the ViT that was."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from tqdm import tqdm

from saev.artifacts import provenance_of
from saev.device import chosen_device
from saev.errors import tell
from saev.latents.code_files import Origin
from saev.latents.code_parts import InMemory
from saev.latents.codes import Codes
from saev.latents.encoding import sae_digest
from saev.latents.sparse import SparseCodes
from saev.nn import SparseAutoencoder
from saev.nn.evaluating import evaluating
from saev.probing.sets.files import read_picture
from saev.probing.sets.image_set import SetPicture
from saev.probing.verdicts.given_sets import GivenSet
from saev.shards.reading.reader import ShardReader
from saev.splicing.attach import token_layout
from saev.splicing.attached import Attached
from saev.splicing.given_facts import NOTHING_GIVEN, with_given
from saev.splicing.recorded_backbone import attach_recorded, load_recorded_backbone
from saev.vit.backbone import Backbone
from saev.vit.images.decode import decode

BATCH: Final = 32


def unrecorded(sets: Sequence[GivenSet]) -> dict[str, tuple[Path, SetPicture]]:
    """The pictures of sets that were never recorded, by SHA-256, with the directory of a set that has each."""
    return {one.sha256: (given.directory, one) for given in sets for one in given.made.pictures if one.image is None}


def codes_of_new(
    pictures: Sequence[tuple[Path, SetPicture]],
    sae: SparseAutoencoder,
    reader: ShardReader,
    weights: str | None = None,
    device: str | None = None,
) -> Codes:
    """The codes of pictures, as if they were those of a recording, in memory. A line says which ViT they went through.

    Args:
        pictures: One or more, each with the directory of its set.
        sae: The SAE.
        reader: The recording, which says what the SAE does not say of its ViT.
        weights: Of the ViT: a .safetensors or .pt file, ``random``, or None: the network.
        device: Where to compute; by default a GPU if there is one.

    Raises:
        InputError: If the ViT cannot be had as it was recorded, or a picture is gone, another one or no picture.
    """
    provenance = with_given(provenance_of(sae), NOTHING_GIVEN, None, reader)
    vit = provenance.one_layer
    tell(f"{len(pictures)} pictures were never recorded: they are run through {vit.ckpt}, as those of the recording")
    computes = chosen_device(device)
    backbone = load_recorded_backbone(vit, weights)
    with evaluating(sae, computes) as ready, attach_recorded(ready, provenance, backbone.to(computes)) as inside:
        parts = list(_codes(pictures, backbone, inside))
    tokens: Any = provenance.tokens
    origin = Origin(
        sae=sae_digest(sae), d_in=sae.d_in, d_sae=sae.d_sae, shards="", activations="",
        layout=token_layout(backbone), tokens=tokens, n_images=len(pictures),
    )  # fmt: skip
    return Codes(origin, BATCH, parts)


def _codes(pictures: Sequence[tuple[Path, SetPicture]], backbone: Backbone, inside: Attached) -> Iterator[InMemory]:
    with tqdm(total=len(pictures), desc="new pictures", unit=" images") as bar:
        for start in range(0, len(pictures), BATCH):
            some = pictures[start : start + BATCH]
            yield InMemory(SparseCodes.of(inside.codes(torch.stack([_prepared(one, backbone) for one in some]))))
            bar.update(len(some))


def _prepared(one: tuple[Path, SetPicture], backbone: Backbone) -> Tensor:
    directory, picture = one
    return backbone.preprocessing.tensor(decode(read_picture(directory, picture), str(directory / picture.file)))
