"""How good a CLIP is on scenes that it was not trained on.

Shape suffixes: n = pictures, v = values of a factor, e = width of the common space, o and f as in `batches`.
"""

from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from demo_clip.batches import make_batch, numbers
from demo_clip.towers import block_outputs, pooled
from demo_clip.views import whole
from demo_clip.vocabulary import tokenizer
from saev.scenes.captions import attributes, caption, everything, prompt
from saev.scenes.factors import FACTORS, Scene
from saev.scenes.sampling import sample

HELD_OUT = 77
"""Seed of scenes that training never sees."""


@torch.no_grad()
def figures(clip: Any, bpe: Path) -> dict[str, float]:
    """Name -> zero-shot accuracy of each factor, and retrieval among scenes of one object and of one to three."""
    clip.eval()
    tokenize = tokenizer(bpe)
    found = {f"zero-shot {factor}": share for factor, share in zero_shot(clip, tokenize).items()}
    found |= {f"retrieval {most}": retrieval(clip, tokenize, (1, most)) for most in (1, 3)}
    clip.train()
    return found


def zero_shot(clip: Any, tokenize: Any, n: int = 1024) -> dict[str, float]:
    """Factor -> how often the prompt of the true value is the nearest one, on scenes with one object."""
    scenes = [sample(HELD_OUT, index, (1, 1)) for index in range(n)]
    pictures_ne = _embedded(clip, scenes)
    things_nof, background_n = numbers([*map(everything, scenes)])
    found = {}
    for f, (factor, values) in enumerate(FACTORS.items()):
        truth = torch.from_numpy(background_n if factor == "background" else things_nof[:, 0, f])
        texts_ve = clip.encode_text(tokenize([prompt(factor, value) for value in values]), normalize=True)
        found[factor] = ((pictures_ne @ texts_ve.T).argmax(dim=1) == truth).float().mean().item()
    return found


def retrieval(clip: Any, tokenize: Any, n_objects: tuple[int, int], n: int = 256, batches: int = 4) -> float:
    """How often the nearest of n full captions is the picture's own, or one that says the same."""
    right: list[bool] = []
    for batch in range(batches):
        scenes = [sample(HELD_OUT, 10_000 + batch * n + i, n_objects) for i in range(n)]
        texts_ne = clip.encode_text(
            tokenize([caption(s, Random(i), keep=1) for i, s in enumerate(scenes)]), normalize=True
        )
        nearest = (_embedded(clip, scenes) @ texts_ne.T).argmax(dim=1).tolist()
        right += [_contents(scene) == _contents(scenes[found]) for scene, found in zip(scenes, nearest, strict=True)]
    return sum(right) / len(right)


def _embedded(clip: Any, scenes: list[Scene]) -> Tensor:
    parts = []
    for start in range(0, len(scenes), 256):
        outputs = block_outputs(clip.visual, make_batch([*map(whole, scenes[start : start + 256])]).pictures)
        parts.append(normalize(pooled(clip.visual, outputs[-1]) @ clip.visual.proj, dim=1))
    return torch.cat(parts)


def _contents(scene: Scene) -> tuple[str, list[str]]:
    """All that a caption can say."""
    return scene.background, sorted(str(attributes(thing)) for thing in scene.objects)
