"""One intervention from the first pass to plain JSON.

Shape suffixes: b = images of a batch, p = tokens that the SAE takes, q = patches, l = latents of the edit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from saev.errors import InputError, tell
from saev.probing.interventions.changes import Batch, along_others, code_change
from saev.probing.interventions.curves import Curves
from saev.probing.interventions.effects import Figure, accuracies, effects, figures, left_out
from saev.probing.interventions.maps import Maps, maps_of
from saev.probing.interventions.matching import matched_latents
from saev.probing.interventions.outcome import EDITED, RANDOM, Outcome, Reading
from saev.probing.interventions.passes import Arms, Place, Seen, look, measure
from saev.probing.interventions.pictures import Chosen
from saev.probing.interventions.readouts import Readout, head_readout, patch_readout, probe_readout
from saev.probing.interventions.work import Done, Work
from saev.splicing.edits import Edit
from saev.splicing.zero_shot import ZeroShot
from saev.vit.dataset import ImageDataset, item_batches
from saev.vit.images.base import NO_LABEL

MOST_MAPPED: Final = 8
"""Latents of which maps are made."""
BACKGROUND: Final = 0


@final
@dataclass(frozen=True)
class Request:
    """What is changed, and what it is compared with."""

    edit: Edit
    """The edit, of latents that are each named once; its tokens are None, a list of places, or for `in_mask` None."""
    in_mask: bool
    """Whether it applies on the patches of the target alone, or without a target of all but the background."""
    target: str | None  # A class, by its name.
    target_value: int | None  # Its value in the masks.
    head: Path | None  # A file of a linear head.
    n_random: int  # Draws of random latents.
    ks: Sequence[int]  # Numbers of latents of each class that are switched off, or alone on.
    n_maps: int  # Pictures of each latent that maps are made of.
    block: int  # Patches on a side of what is grey at once.
    batch_size: int  # Images of a forward pass.
    num_workers: int  # Processes that decode.
    seed: int  # Fixes all that is random.

    @property
    def latents(self) -> list[int]:
        """Those of the edit."""
        return [int(one) for one in torch.as_tensor(self.edit.latents).flatten()]


@final
@dataclass(frozen=True)
class Shown:
    """Maps of one latent on one picture, and the picture."""

    name: str  # Of the picture.
    view: Image.Image  # As the ViT sees it.
    maps: Maps  # The maps.


@final
@dataclass(frozen=True)
class Studied:
    """What an intervention gave."""

    facts: dict[str, Any]  # As JSON.
    figures: Sequence[Figure]  # Picture by picture.
    shown: Sequence[Shown]  # Maps.


def study(place: Place, chosen: Chosen, request: Request, zero_shot: tuple[Sequence[str], ZeroShot] | None) -> Studied:
    """Measure an edit, what stands beside it, curves of classes, and maps; says before how many passes that takes.

    Args:
        zero_shot: Names of classes and their zero-shot classifier, where it is asked for.

    Raises:
        InputError: If a token, a head or a picture does not fit, or there are too few latents to compare with.
    """
    work = _work(place, chosen, request)
    tell(work.plan())
    with work.bar() as done:
        return _studied(place, chosen, request, zero_shot, done)


def _work(place: Place, chosen: Chosen, request: Request) -> Work:
    taught = {label for label, measured in zip(chosen.labels, chosen.is_measured_i, strict=True) if not measured}
    tells = len(taught - {None}) > 1  # else there is nothing that could tell classes apart
    blocks = prod(-(-side // request.block) for side in place.backbone.grid)
    return Work(
        n_images=len(chosen.numbers),
        n_measured=len(chosen.measured),
        n_random=request.n_random,
        n_curves=Curves.n_changes(request.ks, place.inside.sae.d_sae) if tells else 0,
        n_grey=min(MOST_MAPPED, len(request.latents)) * min(request.n_maps, len(chosen.numbers)) * blocks,
        depth=place.backbone.n_layers,
        layer=place.layer,
    )


def _studied(
    place: Place,
    chosen: Chosen,
    request: Request,
    zero_shot: tuple[Sequence[str], ZeroShot] | None,
    done: tuple[Done, Done],
) -> Studied:
    rng = np.random.default_rng(request.seed)
    backbone, latents = place.backbone, request.latents
    items = ImageDataset(chosen.source, backbone.preprocessing, backbone.grid)

    def batches(numbers: Sequence[int]) -> Any:
        return item_batches(items, numbers, request.batch_size, request.num_workers, None)

    learns = ~chosen.is_measured_i
    seen = look(place, batches(chosen.numbers), latents, chosen.labels, learns.tolist(), rng, done[0])
    reading = _reading(seen, chosen, request, zero_shot)
    readouts = reading.readouts
    random_rl = matched_latents(latents, seen.frequency_s, request.n_random, rng)
    classifies = any(readout.is_classifier for readout in readouts)
    curves = Curves.of(seen, request.ks if classifies else [], rng)
    labels = [chosen.labels[one] for one in chosen.measured]
    digests = [chosen.digests[one] for one in chosen.measured]

    def arms(batch: Batch, item: Mapping[str, Any], start: int) -> Arms:
        change_bpl = code_change(batch, latents, request.edit, _mask(place, item, request))
        edited = batch.added(change_bpl, latents)
        yield EDITED, edited
        for others in random_rl.tolist():
            yield RANDOM, along_others(batch, change_bpl, others, edited)
        yield from curves.arms(batch, labels[start : start + len(edited)])

    needed = sorted({*latents, *random_rl.flatten().tolist(), *curves.needed})
    numbers = [chosen.numbers[one] for one in chosen.measured]
    with torch.no_grad():
        outcome = measure(place, batches(numbers), needed, arms, reading, labels, done)
    found = list(figures(outcome, [one for one in outcome.columns if one not in reading.right_columns]).values())
    notes = left_out(request.target, chosen, reading, {one.name for one in found})
    for note in notes:
        tell(note)
    shown = _maps(place, items, chosen, seen, request, done[0])
    return Studied(
        {
            **_sizes(chosen, outcome),
            "latents": _of_latents(seen, chosen, latents),
            "random_latents": random_rl.tolist(),
            "notes": notes,
            "effects": effects(found, digests, rng),
            "accuracy": accuracies(outcome, readouts),
            "curves": curves.results(outcome, readouts, labels, digests, rng),
            "maps": [_as_json(one) for one in shown],
        },
        found,
        shown,
    )


def _reading(
    seen: Seen,
    chosen: Chosen,
    request: Request,
    zero_shot: tuple[Sequence[str], ZeroShot] | None,
) -> Reading:
    learns = np.flatnonzero(~chosen.is_measured_i)
    found = []
    if zero_shot is not None:
        classes, clip = zero_shot
        found.append(Readout("zero_shot", classes, lambda x_ne: clip.probabilities(x_ne).double().numpy()))
    if len(learns) and (
        probe := probe_readout(seen.embeddings_ne[learns], [chosen.labels[int(one)] for one in learns])
    ):
        found.append(probe)
    if request.head is not None:
        found.append(head_readout(request.head, seen.embeddings_ne))
    patches = None
    if seen.patches_md is not None and seen.patch_labels_m is not None:
        patches = patch_readout(seen.patches_md, seen.patch_labels_m, request.target_value)
    return Reading(found, patches, request.target if request.target in chosen.labels else None)


def _mask(place: Place, item: Mapping[str, Any], request: Request) -> Tensor | None:
    """Where the edit applies (b, p), if a mask says it."""
    if not request.in_mask:
        return None
    labels_bq: Tensor = item["patch_labels"]
    is_meant_bq = (
        (labels_bq != BACKGROUND) & (labels_bq != NO_LABEL)
        if request.target_value is None
        else labels_bq == request.target_value
    )
    positions = place.inside.positions
    assert positions is not None, "a backbone's tokens have positions"
    all_bt = torch.zeros(len(labels_bq), max(positions.stop, place.patches.stop), dtype=torch.bool)
    all_bt[:, place.patches.start : place.patches.stop] = is_meant_bq
    return all_bt[:, positions.start : positions.stop].to(place.inside.sae.W_dec.device)


def check_mask_meets_patches(place: Place) -> None:
    """Raise an InputError if the SAE takes no patches: a mask says nothing of other tokens."""
    positions = place.inside.positions
    if positions is None or not set(positions) & set(place.patches):
        raise InputError("--tokens mask: the SAE takes no patches, of which alone a mask says something")


def _sizes(chosen: Chosen, outcome: Outcome) -> dict[str, Any]:
    norm_i = outcome.norm_i
    is_changed_i = norm_i > 0
    return {
        "n_images": len(chosen.numbers),
        "n_measured": len(norm_i),
        "n_changed": int(is_changed_i.sum()),
        "relative_norm": float(norm_i[is_changed_i].mean()) if is_changed_i.any() else 0.0,
    }


def _of_latents(seen: Seen, chosen: Chosen, latents: Sequence[int]) -> list[dict[str, Any]]:
    names = chosen.names
    found = []
    for number, latent in enumerate(latents):
        values_n = seen.largest_nl[:, number]
        best = int(values_n.argmax())
        fires = bool(values_n[best] > 0)
        found.append(
            {
                "latent": latent,
                "frequency": float(seen.frequency_s[latent]),
                "largest": float(values_n[best]),
                "picture": names[best] if fires else None,
            }
        )
    return found


def _maps(place: Place, items: ImageDataset, chosen: Chosen, seen: Seen, request: Request, done: Done) -> list[Shown]:
    """The maps of each latent on the pictures on which it fires most."""
    tops: list[tuple[int, int]] = []
    for number, latent in enumerate(request.latents[:MOST_MAPPED]):
        values_n = seen.largest_nl[:, number]
        order = np.argsort(-values_n, kind="stable")[: request.n_maps]
        tops += [(latent, int(one)) for one in order if values_n[one] > 0]
    names, found = chosen.names, []
    for latent, one in tops:
        number = chosen.numbers[one]
        image = items[number]["image"]
        assert isinstance(image, Tensor), "an item has its image"
        maps = maps_of(place.inside, place.backbone, image, latent, request.block, request.batch_size, done)
        view = place.backbone.preprocessing.view(chosen.source.read(number))
        found.append(Shown(names[one], view, maps))
    return found


def _as_json(one: Shown) -> dict[str, Any]:
    maps = one.maps
    return {
        "latent": maps.latent,
        "picture": one.name,
        "value": maps.value,
        "fires": None if maps.fires_hw is None else maps.fires_hw.tolist(),
        "drop": maps.drop_hw.tolist(),
    }
