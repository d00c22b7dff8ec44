"""Batches of scenes with all that is known of them; each is a function of its number.

Shape suffixes: n = scenes of a batch, o = places for objects, f = factors of an object, p = patches, t = tokens.
"""

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from demo_clip.vocabulary import tokenizer
from saev.scenes.captions import Description, describe, phrase
from saev.scenes.drawing import draw, object_mask
from saev.scenes.factors import FACTORS, OBJECT_FACTORS, SIDE, Scene
from saev.scenes.pairs import changed
from saev.scenes.sampling import sample

PATCH = 8
GRID = SIDE // PATCH
SEED = 20_261_129
"""Of the scenes that are trained on; those of every other seed are held out."""
KEEP = (0.3, 0.65, 1.0)
"""Probabilities to tell an attribute, of which each caption takes one."""
UNSURE = -100
_UNTOLD, _NO_OBJECT = -1, -2
_NUMBERS = {factor: {value: i for i, value in enumerate(values)} for factor, values in FACTORS.items()}
_PLACES = 4
_COVERED = PATCH * PATCH // 4

Numbers = NDArray[np.int64]


class Batch(NamedTuple):
    """Pictures and what is known of them."""

    pictures: Tensor
    """(n, 3, 64, 64) uint8."""
    targets_npf: Tensor
    """Value of each factor in each patch, the background last; one more than the last value where there is no object,
    `UNSURE` where an object covers less than a quarter of the patch."""
    present: Tensor
    """(n, 27) whether the picture has the value."""
    tokens_nt: Tensor | None
    """Captions."""
    true_nn: Tensor | None
    """Whether a caption (column) is true of a scene (row)."""


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
            return make_batch([sample(self.seed, first + j, (2, 4)) for j in range(self.size)])
        scenes = [sample(self.seed, first + j, (1, 1 if j % 4 < 2 else 3)) for j in range(0, self.size, 2)]
        scenes = [scene for base in scenes for scene in (base, _neighbour(base, rng))]
        told = [describe(scene, rng, rng.choice(KEEP)) for scene in scenes]
        texts = [phrase(description, rng) for description in told]
        return make_batch(scenes)._replace(
            tokens_nt=tokenizer(self.bpe)(texts), true_nn=torch.from_numpy(are_true(scenes, told))
        )


def make_batch(scenes: list[Scene]) -> Batch:
    """Pictures and patch labels of scenes, without captions."""
    pictures = np.stack([draw(scene) for scene in scenes])
    masks = np.stack([object_mask(scene) for scene in scenes])
    things_nof, background_n = numbers(scenes)
    return Batch(
        torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))),
        torch.from_numpy(_patch_targets(masks, things_nof, background_n)),
        torch.from_numpy(presence(things_nof, background_n)),
        None,
        None,
    )


def numbers(scenes: list[Scene]) -> tuple[Numbers, Numbers]:
    """(n, o, f) the values of objects, -2 where there is none, and (n,) backgrounds, as numbers in `FACTORS`."""
    things_nof = np.full((len(scenes), _PLACES, len(OBJECT_FACTORS)), _NO_OBJECT)
    for row, scene in zip(things_nof, scenes, strict=True):
        for place, thing in zip(row, scene.objects, strict=False):
            place[:] = [_NUMBERS[factor][getattr(thing, factor)] for factor in OBJECT_FACTORS]
    return things_nof, np.array([_NUMBERS["background"][scene.background] for scene in scenes])


def presence(things_nof: Numbers, background_n: Numbers) -> NDArray[np.bool_]:
    """(n, 27) which values are in a picture, in the order of `FACTORS`."""
    columns = [(things_nof[..., [f]] == np.arange(len(FACTORS[name]))).any(axis=1) for f, name in _object_factors()]
    return np.concatenate([*columns, background_n[:, None] == np.arange(len(FACTORS["background"]))], axis=1)


def are_true(scenes: list[Scene], told: list[Description]) -> NDArray[np.bool_]:
    """(n, m) whether description j holds of scene i: some object of the scene fits each one that it names."""
    things_nof, background_n = numbers(scenes)
    said_mof = np.full((len(told), _PLACES, len(OBJECT_FACTORS)), _NO_OBJECT)
    for row, description in zip(said_mof, told, strict=True):
        for place, said in zip(row, description.objects, strict=False):
            place[:] = [_NUMBERS[factor].get(said.get(factor, ""), _UNTOLD) for factor in OBJECT_FACTORS]
    fits = np.ones((len(scenes), len(told), _PLACES, _PLACES), dtype=np.bool_)  # (n, m, said, thing)
    for f, _ in _object_factors():
        value_said, value = said_mof[None, :, :, None, f], things_nof[:, None, None, :, f]
        fits &= (value_said == value) | ((value_said == _UNTOLD) & (value != _NO_OBJECT))
    objects = (fits.any(axis=3) | (said_mof[None, :, :, 0] == _NO_OBJECT)).all(axis=2)
    ground = np.array([_NUMBERS["background"].get(d.background or "", _UNTOLD) for d in told])
    true: NDArray[np.bool_] = objects & ((ground == _UNTOLD) | (ground == background_n[:, None]))
    return true


def _patch_targets(masks: NDArray[np.uint8], things_nof: Numbers, background_n: Numbers) -> Numbers:
    n = len(masks)
    patches = masks.reshape(n, GRID, PATCH, GRID, PATCH).swapaxes(2, 3).reshape(n, GRID * GRID, PATCH * PATCH)
    owner_np, covered_np = patches.max(axis=2).astype(np.int64), (patches > 0).sum(axis=2)
    none = np.array([len(values) for values in OBJECT_FACTORS.values()])
    with_none = np.concatenate([np.broadcast_to(none, (n, 1, len(none))), things_nof], axis=1)
    targets_npf = with_none[np.arange(n)[:, None], owner_np]
    targets_npf[(covered_np > 0) & (covered_np < _COVERED)] = UNSURE
    ground = np.broadcast_to(background_n[:, None, None], (n, GRID * GRID, 1))
    return np.concatenate([targets_npf, ground], axis=2)


def _neighbour(scene: Scene, rng: Random) -> Scene:
    """The scene but for one value: what tells these two apart is all that this value is."""
    factor = rng.choice(list(FACTORS))
    which = rng.randrange(len(scene.objects))
    free = set(FACTORS[factor]) - {thing.position for thing in scene.objects}
    now: Any = scene.background if factor == "background" else getattr(scene.objects[which], factor)
    return changed(scene, factor, rng.choice(sorted(free - {now})), which)


def _object_factors() -> list[tuple[int, str]]:
    return list(enumerate(OBJECT_FACTORS))
