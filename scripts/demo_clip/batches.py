"""Batches of pictures with all that is known of them; each is a function of its number.

Shape suffixes: n = pictures of a batch, o = places for objects, f = factors of an object, p = patches, t = tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from demo_clip.views import View, part, random_box, whole
from demo_clip.vocabulary import tokenizer
from saev.scenes.captions import Description, phrase, shortened
from saev.scenes.factors import FACTORS, OBJECT_FACTORS, SIDE, Scene
from saev.scenes.pairs import changed
from saev.scenes.sampling import sample

PATCH = 8
GRID = SIDE // PATCH
SEED = 20_261_129
"""Of the scenes that are trained on; those of every other seed are held out."""
KEEP = (0.3, 0.65, 1.0)
"""Probabilities to tell an attribute, of which each caption takes one."""
PARTS = 0.4
"""Share of the pictures with captions that show a part of a scene."""
UNSURE = -100
_UNKNOWN, _NO_OBJECT = -1, -2
_NUMBERS = {factor: {value: i for i, value in enumerate(values)} for factor, values in FACTORS.items()}
_PLACES = 4
_COVERED = PATCH * PATCH // 4

Numbers = NDArray[np.int64]


class Batch(NamedTuple):
    """Pictures and what is known of them."""

    pictures: Tensor
    """(n, 3, 64, 64) uint8."""
    targets_npf: Tensor
    """Value of each factor in each patch, the background last; one more than the last value where there is no object;
    `UNSURE` where an object covers less than a quarter of the patch, or the picture doesn't tell."""
    present: Tensor
    """(n, 27) whether the picture has the value, as 0 or 1; -1 where it doesn't tell."""
    tokens_nt: Tensor | None = None
    """Captions."""
    true_nn: Tensor | None = None
    """Whether a caption (column) may be true of a picture (row)."""


@dataclass(frozen=True)
class Batches(Dataset[Batch]):
    """Batch i of training; those without captions have two to four objects, for more objects to learn from."""

    size: int
    captions: bool
    bpe: Path
    seed: int = SEED

    def __getitem__(self, i: int) -> Batch:
        rng = Random(f"{self.seed} {i}")
        first = i * self.size
        if not self.captions:
            return make_batch([whole(sample(self.seed, first + j, (2, 4))) for j in range(self.size)])
        bases = [sample(self.seed, first + j, (1, 1 if j % 4 < 2 else 3)) for j in range(0, self.size, 2)]
        views = [view for base in bases for view in _neighbours(base, rng)]
        told = [shortened(view.known, rng, rng.choice(KEEP)) for view in views]
        tokens_nt = tokenizer(self.bpe)([phrase(description, rng) for description in told])
        true_nn = torch.from_numpy(may_be_true(told, [view.known for view in views]))
        return make_batch(views)._replace(tokens_nt=tokens_nt, true_nn=true_nn)


def make_batch(views: Sequence[View]) -> Batch:
    """Pictures and what is known of their patches, without captions."""
    pictures = np.stack([view.picture for view in views])
    masks = np.stack([view.mask for view in views])
    things_nof, background_n = numbers([view.known for view in views])
    return Batch(
        torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))),
        torch.from_numpy(_patch_targets(masks, things_nof, background_n)),
        torch.from_numpy(presence(things_nof, background_n)),
    )


def numbers(descriptions: Sequence[Description]) -> tuple[Numbers, Numbers]:
    """(n, o, f) the values of objects and (n,) backgrounds, as numbers in `FACTORS`; -1 unknown, -2 no object."""
    things_nof = np.full((len(descriptions), _PLACES, len(OBJECT_FACTORS)), _NO_OBJECT)
    for row, description in zip(things_nof, descriptions, strict=True):
        for place, thing in zip(row, description.objects, strict=False):
            place[:] = [_number(factor, thing.get(factor)) for factor in OBJECT_FACTORS]
    return things_nof, np.array([_number("background", description.background) for description in descriptions])


def presence(things_nof: Numbers, background_n: Numbers) -> Numbers:
    """(n, 27) which values are in a picture, in the order of `FACTORS`; -1 where that is not known."""
    columns = []
    for f, name in enumerate(OBJECT_FACTORS):
        value_no = things_nof[:, :, f]
        there = (value_no[:, :, None] == np.arange(len(FACTORS[name]))).any(axis=1)
        columns.append(np.where((value_no == _UNKNOWN).any(axis=1, keepdims=True), -1, there))
    backgrounds = background_n[:, None] == np.arange(len(FACTORS["background"]))
    return np.concatenate([*columns, backgrounds], axis=1)


def may_be_true(told: Sequence[Description], known: Sequence[Description]) -> NDArray[np.bool_]:
    """(n, m) whether what description j says may be so in picture i: some object there fits each one that it names."""
    (said_mof, said_background_m), (things_nof, background_n) = numbers(told), numbers(known)
    said, thing = said_mof[None, :, :, None], things_nof[:, None, None]  # (1, m, said, 1, f) and (n, 1, 1, o, f)
    same = (said == thing) | (said == _UNKNOWN) & (thing != _NO_OBJECT) | (thing == _UNKNOWN) & (said != _NO_OBJECT)
    objects = (same.all(axis=4).any(axis=3) | (said_mof[None, :, :, 0] == _NO_OBJECT)).all(axis=2)
    background = (said_background_m == _UNKNOWN) | (said_background_m == background_n[:, None])
    fits: NDArray[np.bool_] = objects & background
    return fits


def _number(factor: str, value: str | None) -> int:
    return _UNKNOWN if value is None else _NUMBERS[factor][value]


def _patch_targets(masks: NDArray[np.uint8], things_nof: Numbers, background_n: Numbers) -> Numbers:
    n = len(masks)
    patches = masks.reshape(n, GRID, PATCH, GRID, PATCH).swapaxes(2, 3).reshape(n, GRID * GRID, PATCH * PATCH)
    owner_np, covered_np = patches.max(axis=2).astype(np.int64), (patches > 0).sum(axis=2)
    none = np.array([len(values) for values in OBJECT_FACTORS.values()])
    with_none = np.concatenate([np.broadcast_to(none, (n, 1, len(none))), things_nof], axis=1)
    targets_npf = with_none[np.arange(n)[:, None], owner_np]
    targets_npf[targets_npf == _UNKNOWN] = UNSURE
    targets_npf[(covered_np > 0) & (covered_np < _COVERED)] = UNSURE
    ground = np.broadcast_to(background_n[:, None, None], (n, GRID * GRID, 1))
    return np.concatenate([targets_npf, ground], axis=2)


def _neighbours(scene: Scene, rng: Random) -> tuple[View, View]:
    """Views of a scene and of the same but for one value: what tells these two apart is all that this value is."""
    factor = rng.choice(list(FACTORS))
    which = rng.randrange(len(scene.objects))
    free = set(FACTORS[factor]) - {thing.position for thing in scene.objects}
    now: Any = scene.background if factor == "background" else getattr(scene.objects[which], factor)
    other = changed(scene, factor, rng.choice(sorted(free - {now})), which)
    if rng.random() >= PARTS:
        return whole(scene), whole(other)
    box = random_box(scene, rng)
    return part(scene, box), part(other, box)
