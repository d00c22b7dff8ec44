"""The CLIP that comes with saev knows scenes that it was not trained on, through the front door that users have."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

import saev.vit
from saev.scenes.captions import caption, prompt
from saev.scenes.drawing import draw
from saev.scenes.factors import FACTORS, Scene
from saev.scenes.sampling import sample
from saev.vit.text import Clip, load_clip

HELD_OUT = 4711
# Just below what docs/measurements.md says.
ACCURACY = {"shape": 0.98, "colour": 0.99, "texture": 0.99, "size": 0.99, "position": 0.99, "background": 0.99}


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip("saev-demo/scenes")


def embedded(clip: Clip, scenes: list[Scene]) -> torch.Tensor:
    return clip.embed_images([Image.fromarray(draw(scene)) for scene in scenes])


def test_zero_shot(clip: Clip) -> None:
    scenes = [sample(HELD_OUT, index, (1, 1)) for index in range(400)]
    pictures_ne = embedded(clip, scenes)
    for factor, least in ACCURACY.items():
        texts_ve = clip.embed_texts([prompt(factor, value) for value in FACTORS[factor]])
        found = (pictures_ne @ texts_ve.T).argmax(dim=1).tolist()
        truth = [scene.background if factor == "background" else getattr(scene.objects[0], factor) for scene in scenes]
        assert np.mean([FACTORS[factor][i] == value for i, value in zip(found, truth, strict=True)]) >= least, factor


def test_retrieval_among_256_captions(clip: Clip) -> None:
    scenes = [sample(HELD_OUT, 1000 + index) for index in range(256)]
    texts_ne = clip.embed_texts([caption(scene, Random(i), keep=1) for i, scene in enumerate(scenes)])
    found = (embedded(clip, scenes) @ texts_ne.T).argmax(dim=1)
    assert (found == torch.arange(256)).float().mean() >= 0.99


def test_it_is_small() -> None:
    folder = Path(saev.vit.__file__).parent / "demo_clip"
    files = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    assert files.keys() == {"open_clip_config.json", "open_clip_model.safetensors", "bpe.txt.gz"}
    assert sum(files.values()) < 5e6
