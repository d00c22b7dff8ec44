"""The two passes over pictures: a look at what is there, and the measurement with all changes.

Shape suffixes: b = images of a batch, n = images, t = tokens, p = tokens that the SAE takes, q = patches, d = d_model,
s = d_sae, l = latents of the edit, e = width of the embedding.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
import torch
from torch import Tensor

from saev.probing.interventions.changes import Batch
from saev.probing.interventions.outcome import EDITED, RANDOM, UNTOUCHED, Outcome, Reading, Values
from saev.probing.interventions.work import Done
from saev.probing.statistics.arrays import Floats
from saev.splicing.attached import Attached
from saev.splicing.replay import computed_once, last_tokens
from saev.vit.backbone import Backbone
from saev.vit.images.base import NO_LABEL

MAX_PATCHES: Final = 10_000
"""About so many patches the probe of patches learns from, a random choice of each picture."""

Arms = Iterable[tuple[str, Tensor]]
"""Changes (b, p, d) of the tokens of a batch, and what they are: "edited" once, "random" for each draw, and curves."""


@final
@dataclass(frozen=True)
class Seen:
    """What is there before anything is changed."""

    embeddings_ne: Tensor  # Final embeddings.
    largest_nl: Floats  # Largest code on a picture, of each latent of the edit.
    frequency_s: Floats  # Share of the pictures on which each latent fires.
    mean_cs: Mapping[str, Floats]  # Mean code of each latent, over the tokens and pictures of a class, by class.
    counts: Mapping[str, int]  # Pictures of each class.
    patches_md: Tensor | None  # Patch tokens of pictures that the probe learns from; None without masks.
    patch_labels_m: Tensor | None  # Values of the masks there.


@final
@dataclass
class Place:
    """An SAE inside its ViT."""

    inside: Attached
    backbone: Backbone  # The ViT.
    layer: int  # The block after which it is, from 0.
    patches: range  # The positions of the patches.

    def run(self, images: Tensor, change: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings (b, e) and final patch tokens (b, q, d) when the output (b, t, d) of the layer is another one."""
        with last_tokens(self.backbone) as found:
            embedded = self.inside.variants(images, lambda x_btd: {"": change(x_btd)})[""]
        # A copy: where the embedding is one of the tokens, all of them would stay in memory with it.
        return embedded.float().cpu().clone(), found[-1][:, self.patches.start : self.patches.stop].float()


def look(
    place: Place,
    batches: Iterable[Mapping[str, Any]],
    latents: Sequence[int],
    classes: Sequence[str | None],
    learns: Sequence[bool],
    rng: np.random.Generator,
    done: Done,
) -> Seen:
    """Run pictures as they are.

    Args:
        batches: Items of `ImageDataset`.
        latents: Those of the edit.
        classes: Of the pictures, in their order.
        learns: Whether each is one that probes learn from and latents of classes are chosen on.
        done: Is told of passes.
    """
    d_sae = place.inside.sae.d_sae
    embedded, largest, patches, patch_labels = [], [], [], []
    fired_s, sums, counts = np.zeros(d_sae), dict[str, Floats](), dict[str, int]()
    n_learn, start = max(1, sum(learns)), 0
    for batch in batches:
        outputs: list[Tensor] = []
        found_be, tokens_bqd = place.run(batch["image"], _kept_in(outputs))
        embedded.append(found_be)
        largest_bs, mean_bs = _pooled(place.inside, outputs[0])
        largest.append(largest_bs[:, list(latents)])
        fired_s += (largest_bs > 0).sum(0)
        for image in range(len(mean_bs)):
            label, is_learned = classes[start + image], learns[start + image]
            if is_learned and label is not None:
                sums[label] = sums.get(label, np.zeros(d_sae)) + mean_bs[image]
                counts[label] = counts.get(label, 0) + 1
            if is_learned and "patch_labels" in batch:
                known = np.flatnonzero(batch["patch_labels"][image].numpy() != NO_LABEL)
                own = np.sort(rng.permutation(known)[: -(-MAX_PATCHES // n_learn)])
                patches.append(tokens_bqd[image, own].cpu())
                patch_labels.append(batch["patch_labels"][image, own])
        start += len(mean_bs)
        done(len(mean_bs))
    return Seen(
        torch.cat(embedded),
        np.concatenate(largest),
        fired_s / start,
        {label: sums[label] / counts[label] for label in sorted(sums)},
        counts,
        torch.cat(patches) if patches else None,
        torch.cat(patch_labels) if patches else None,
    )


def _kept_in(outputs: list[Tensor]) -> Callable[[Tensor], Tensor]:
    """A change that changes nothing, and keeps what it gets."""

    def change(x_btd: Tensor) -> Tensor:
        outputs.append(x_btd)
        return x_btd

    return change


def _instead(new_btd: Tensor) -> Callable[[Tensor], Tensor]:
    """A change to this output."""
    return lambda _: new_btd


def _pooled(inside: Attached, x_btd: Tensor) -> tuple[Floats, Floats]:
    """The largest and the mean code (b, s) over the tokens of each image."""
    codes = (inside.encode(x_cpd) for x_cpd in inside.chunks(inside.taken(x_btd)))
    largest, mean = zip(*((f_cps.amax(1), f_cps.mean(1)) for f_cps in codes), strict=True)
    return torch.cat(largest).double().cpu().numpy(), torch.cat(mean).double().cpu().numpy()


def measure(
    place: Place,
    batches: Iterable[Mapping[str, Any]],
    needed: Sequence[int],
    arms: Callable[[Batch, Mapping[str, Any], int], Arms],
    reading: Reading,
    labels: Sequence[str | None],
    done: tuple[Done, Done],
) -> Outcome:
    """Run pictures as they are and with each change; the blocks up to the SAE's are computed once.

    One change is in memory at a time.

    Args:
        batches: Items of `ImageDataset`.
        needed: The latents that changes need, each once.
        arms: Gives the changes of a batch of tokens, from its item and the number of pictures before it.
        labels: Classes of the pictures, in their order.
        done: Are told of passes as they are, and of passes with a change.
    """
    outcome, start, inside = Outcome(), 0, place.inside
    for item in batches:
        images, outputs = item["image"], list[Tensor]()
        own = labels[start : start + len(images)], item.get("patch_labels")
        with computed_once(place.backbone, place.layer):
            before = place.run(images, _kept_in(outputs))
            batch = Batch.of(inside, outputs[0], needed)
            done[0](len(images))
            rows, draws, norm_b = {UNTOUCHED: reading.all(before[0], before, *own)}, list[Values](), None
            for name, change_bpd in arms(batch, item, start):
                after = place.run(images, _instead(inside.with_tokens(outputs[0], batch.x_bpd + change_bpd)))
                if name == RANDOM:
                    draws.append(reading.all(before[0], after, *own))
                elif name == EDITED:
                    rows[name] = reading.all(before[0], after, *own)
                    norm_b = change_bpd.flatten(1).norm(dim=1) / batch.x_bpd.flatten(1).norm(dim=1)
                else:  # curves of classes
                    rows[name] = reading.right(after[0], own[0])
                done[1](len(images))
        assert norm_b is not None, "one of the changes is the edit"
        outcome.add(rows, draws, norm_b.double().cpu().numpy())
        start += len(images)
    return outcome
