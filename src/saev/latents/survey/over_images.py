"""Surveys of SAEs over the images of a recording."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from saev.errors import InputError
from saev.free_memory import check_memory
from saev.latents.codes import Codes, with_saved
from saev.latents.encode import encodings_of
from saev.latents.encoding import ImageCodes, together
from saev.latents.labels import Labels
from saev.latents.survey.memory import tables_bytes
from saev.latents.survey.strongest import StrongPatches
from saev.latents.survey.survey import LatentSurvey
from saev.nn import SparseAutoencoder
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader


def survey_images(
    codes: Mapping[str, ImageCodes],
    images: NDArray[np.int64],
    labels: Labels,
    *,
    top_k: int = 128,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> dict[str, LatentSurvey]:
    """What the latents of SAEs do on some images, or on this process's share of these.

    Args:
        codes: Those of each SAE, by name; one or more.
        images: (n,) numbers of images of the recording, ascending.
        labels: Those of the recording.
        top_k: Images kept for each latent, in each order.
        world_size: Processes that divide the images.

    Raises:
        InputError: If the tables do not fit into memory, a code is not finite, or a shard is damaged.
    """
    own = np.array_split(images, world_size)[rank]
    top_k = min(top_k, len(images))
    _check_memory(codes, top_k, labels, len(images))
    surveys = {name: _begun(one, top_k, labels, seed, len(images)) for name, one in codes.items()}
    for name, ids_b, part in together(codes, own, "surveying"):
        labels_bc = None if surveys[name].patch_labels is None else labels.of_patches(ids_b)
        values_jb = [column.numbers_i[ids_b] for column in labels.counted]
        surveys[name].add(part, ids_b, labels.numbers[ids_b], labels_bc, values_jb)
    return surveys


def survey(
    sae: SparseAutoencoder | str | Path,
    shards: ShardReader | str | Path,
    *,
    codes: Codes | str | Path | None = None,
    n_images: int = 50_000,
    top_k: int = 128,
    layer: int | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
    seed: int = 0,
) -> LatentSurvey:
    """What the latents of an SAE do: frequencies, values, top images, labels, latents that fire together.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(2), backbone, [-2], f"{directory}/shards")
    ...     found = survey(sae, shards)
    >>> found.moments.frequency.shape, found.top["patch"].images.shape  # both pictures of each latent
    (torch.Size([128]), torch.Size([128, 2]))

    Args:
        sae: An SAE, or the directory of one.
        shards: A recording, or its directory.
        codes: Saved codes of this SAE on these shards, which is then not encoded again.
        n_images: Upper bound of the images looked at, a random choice.
        top_k: Images kept for each latent, in each order.
        layer: As in `saev.encode`.
        tokens: As in `saev.encode`.
        device: As in `saev.encode`.
        seed: Fixes the random choices.

    Raises:
        InputError: If a number makes no sense, the SAE, the shards or the codes do not belong together, the tables do
            not fit into memory, or a file is damaged.
    """
    if min(n_images, top_k) < 1 or seed < 0:
        raise InputError(f"n_images={n_images} and top_k={top_k} must be 1 or more, seed={seed} 0 or more")
    with encodings_of({"the SAE": sae}, shards, layer, tokens, device) as encodings:
        sources = with_saved(encodings, [] if codes is None else [codes])
        selection = encodings["the SAE"].tokens
        images, labels = selection.subset(n_images, seed).examples, Labels.of(selection.reader)
        return survey_images(sources, images, labels, top_k=top_k, seed=seed)["the SAE"]


def _begun(codes: ImageCodes, top_k: int, labels: Labels, seed: int, n_images: int) -> LatentSurvey:
    has_patches = StrongPatches.can_number(len(labels.numbers), len(codes.spots.patches))
    return LatentSurvey(
        codes.d_sae,
        codes.spots,
        top_k=top_k,
        n_image_labels=len(labels.names),
        n_patch_labels=len(labels.patch_names) if codes.spots.patches and has_patches else 0,
        n_values=[len(column.values) for column in labels.counted],
        seed=seed,
        grid=codes.grid,
        n_images=n_images,
    )


def _check_memory(codes: Mapping[str, ImageCodes], top_k: int, labels: Labels, n_images: int) -> None:
    counts = {
        "n_images": n_images,
        "n_image_labels": len(labels.names),
        "n_patch_labels": len(labels.patch_names),
        "n_values": sum(len(column.values) for column in labels.counted),
    }
    need = sum(
        tables_bytes(one.d_sae, top_k, n_orders=_n_orders(one), grid=one.grid, **counts) for one in codes.values()
    )
    taken = f"what is kept of {sum(one.d_sae for one in codes.values()):,} latents takes"
    check_memory(need, taken, f"lower top_k={top_k}, or look at fewer SAEs")


def _n_orders(codes: ImageCodes) -> int:
    return 2 if codes.spots.cls is None else 3


def merge_into_first(survey: LatentSurvey) -> None:
    """Let the survey of process 0 know what those of the other processes found; all of them call it."""
    device = torch.device("cuda") if dist.get_backend() == "nccl" else torch.device("cpu")
    for rank in range(1, dist.get_world_size()):
        for part in survey.parts:  # one after the other, for the memory that is taken on the way
            if dist.get_rank() == rank:
                dist.send_object_list([part], dst=0, device=device)
            elif dist.get_rank() == 0:
                received = [None]
                dist.recv_object_list(received, src=rank, device=device)
                part.merge(received[0])
