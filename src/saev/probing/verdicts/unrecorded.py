"""Codes of pictures that were never recorded, through the ViT that was."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from saev.artifacts import provenance_of
from saev.device import chosen_device
from saev.errors import InputError, tell
from saev.latents.code_files import Origin
from saev.latents.code_parts import InMemory
from saev.latents.codes import Codes
from saev.latents.encoding import sae_digest
from saev.latents.sparse import SparseCodes
from saev.nn import SparseAutoencoder
from saev.nn.evaluating import evaluating
from saev.probing.sets.files import read_picture
from saev.probing.sets.image_set import SetPicture
from saev.probing.sets.paired_set import read_pair_picture
from saev.probing.verdicts.given_sets import GivenSet
from saev.progress import progress_bar
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader
from saev.splicing.attach import token_layout
from saev.splicing.attached import Attached
from saev.splicing.given_facts import NOTHING_GIVEN, with_given
from saev.splicing.recorded_backbone import attach_recorded, load_recorded_backbone
from saev.vit.backbone import Backbone
from saev.vit.images.decode import decode
from saev.vit.preprocess import Preprocessing

BATCH: Final = 32
Prepared = Callable[[Preprocessing], Tensor]
"""Reads a picture, checks it, and gives the ViT's input (3, H, W)."""


def unrecorded(sets: Sequence[GivenSet]) -> dict[str, Prepared]:
    """The pictures of sets and of pairs that count that were never recorded, by the SHA-256 of their files."""
    found: dict[str, Prepared] = {}
    for given in sets:
        for one in given.made.pictures:
            if one.image is None:
                found[one.sha256] = of_set(given.directory, one)
        for edit in given.edits:
            for file, sha256 in (one for pair in edit.pairs for one in edit.files(pair).items()):
                found[sha256] = partial(_of_pair, given.directory, file, sha256)
    return found


def of_set(directory: Path, picture: SetPicture) -> Prepared:
    """What reads a picture of the set in a directory.

    Raises:
        InputError: When it is called: if the picture is gone, another one or no picture.
    """
    return lambda preprocessing: preprocessing.tensor(
        decode(read_picture(directory, picture), str(directory / picture.file))
    )


def codes_of_new(
    pictures: Sequence[Prepared],
    sae: SparseAutoencoder,
    reader: ShardReader,
    tokens: TokenKind,
    weights: str | None = None,
    device: str | None = None,
) -> Codes:
    """The codes of pictures, as if they were those of a recording, in memory. A line says which ViT they went through.

    Args:
        pictures: One or more.
        reader: The recording, which says what the SAE does not say of its ViT.
        tokens: Of which tokens.
        weights: Of the ViT: a .safetensors or .pt file, ``random``, or None: the network.
        device: Where to compute; by default a GPU if there is one.

    Raises:
        InputError: If the ViT cannot be had as it was recorded, or a picture is gone, another one or no picture.
    """
    # Codes of other tokens than the SAE was trained on are a choice that was made when the recording was encoded.
    provenance = replace(with_given(provenance_of(sae), NOTHING_GIVEN, None, reader), tokens=tokens)
    vit = provenance.one_layer
    tell(f"{len(pictures)} pictures were never recorded: they are run through {vit.ckpt}, as those of the recording")
    computes = chosen_device(device)
    backbone = load_recorded_backbone(vit, weights)
    with evaluating(sae, computes) as ready, attach_recorded(ready, provenance, backbone.to(computes)) as inside:
        parts = list(_codes(pictures, backbone, inside))
    origin = Origin(
        sae=sae_digest(sae), d_in=sae.d_in, d_sae=sae.d_sae, shards="", activations="",
        layout=token_layout(backbone), tokens=tokens, n_images=len(pictures),
    )  # fmt: skip
    return Codes(origin, BATCH, parts)


def _codes(pictures: Sequence[Prepared], backbone: Backbone, inside: Attached) -> Iterator[InMemory]:
    with progress_bar(total=len(pictures), desc="new pictures", unit=" images") as bar:
        for start in range(0, len(pictures), BATCH):
            some = pictures[start : start + BATCH]
            yield InMemory(SparseCodes.of(inside.codes(torch.stack([one(backbone.preprocessing) for one in some]))))
            bar.update(len(some))


def _of_pair(directory: Path, file: str, sha256: str, preprocessing: Preprocessing) -> Tensor:
    """What the ViT saw of a picture was edited, so that it is neither resized nor cropped again."""
    view = decode(read_pair_picture(directory, file, sha256), str(directory / file))
    height, width = preprocessing.image_size
    if view.size != (width, height):
        raise InputError(f"{directory / file} is {view.width} x {view.height} pixels, the ViT takes {width} x {height}")
    return preprocessing.tensor_of_view(view)
