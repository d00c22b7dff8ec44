"""A CLIP that comes with saev: both towers and its own words, from any working directory, without the network."""

import gzip
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import normalize

from saev.errors import InputError
from saev.vit import packaged_clip
from saev.vit.images import DemoScenes
from saev.vit.load import load_backbone
from saev.vit.text import load_clip

CKPT = "saev-demo/scenes"
TEXTS = ["a red ring", "a shape on a mint background", "Über 3 discs"]


def tiny_config(folder: Path) -> dict[str, Any]:
    """A configuration, with a tokenizer of two merged pairs of letters."""
    with gzip.open(folder / "words.txt.gz", "wb") as file:
        file.write(b"#version: tests\nr e\nre d</w>")
    vision = {"image_size": 64, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8, "pool_type": "avg"}
    text = {"context_length": 32, "vocab_size": 516, "width": 32, "heads": 2, "layers": 2}
    text["tokenizer_kwargs"] = {"bpe_path": "words.txt.gz"}
    return {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A model of open_clip whose files lie where the package looks for its own, and an empty working directory."""
    folder = tmp_path / "packaged"
    folder.mkdir()
    config = tiny_config(folder)
    torch.manual_seed(4)
    made = open_clip.CLIP(**{**config, "text_cfg": {**config["text_cfg"]}}).eval().half().float()
    save_file({name: tensor.half() for name, tensor in made.state_dict().items()},
              folder / "open_clip_model.safetensors")  # fmt: skip
    preprocess = {"size": 64, "mean": [0.5, 0.4, 0.3], "std": [0.3, 0.4, 0.5]}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}))
    monkeypatch.setattr(packaged_clip, "_FOLDERS", {"scenes": str(folder)})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    def connected(*_: object) -> None:
        raise AssertionError("the network is asked")

    monkeypatch.setattr(socket, "getaddrinfo", connected)
    return made


def test_both_towers_are_those_of_open_clip_and_its_words_are_read_from_anywhere(model: Any, tmp_path: Path) -> None:
    scenes = DemoScenes(n_scenes=4)
    pictures = [scenes.read(index) for index in range(4)]
    clip, backbone = load_clip(CKPT), load_backbone("clip", CKPT)
    tokens = open_clip.SimpleTokenizer(str(tmp_path / "packaged" / "words.txt.gz"), context_length=32)(TEXTS)
    assert tokens[0, 2] == 513  # "red" is one word
    images = torch.stack([backbone.preprocessing.tensor(picture) for picture in pictures])
    mean, std = (torch.tensor(values)[:, None, None] for values in ([0.5, 0.4, 0.3], [0.3, 0.4, 0.5]))
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2)
    assert torch.allclose(images, (pixels / 255 - mean) / std, atol=1e-6)
    with torch.no_grad():
        texts_ne, images_ne = model.encode_text(tokens, normalize=True), model.encode_image(images, normalize=True)
        embedded = normalize(backbone.embed(images) @ clip.visual_projection()[1], dim=-1)
    torch.testing.assert_close(clip.embed_texts(TEXTS), texts_ne)
    torch.testing.assert_close(clip.embed_images(pictures), images_ne)
    torch.testing.assert_close(embedded, images_ne)
    assert clip.tower_digest == backbone.weights_digest
    assert (backbone.grid, backbone.n_layers, backbone.d_model) == ((8, 8), 2, 32)


def test_random_weights_and_those_of_a_file_take_the_place_of_its_own(model: Any, tmp_path: Path) -> None:
    own, random = load_backbone("clip", CKPT), load_backbone("clip", CKPT, "random")
    assert own.weights_digest != random.weights_digest
    weights = load_file(tmp_path / "packaged" / "open_clip_model.safetensors")
    weights["visual.class_embedding"] += 1
    save_file(weights, tmp_path / "other.safetensors")
    other = load_clip(CKPT, str(tmp_path / "other.safetensors"))
    assert other.tower_digest not in (own.weights_digest, random.weights_digest)
    assert torch.equal(other.embed_texts(TEXTS), load_clip(CKPT).embed_texts(TEXTS))


def test_what_is_not_there_is_refused(model: Any, tmp_path: Path) -> None:
    for ckpt in ("saev-demo/scene", "saev-demo/"):
        said = rf"unknown CLIP of saev '{ckpt}' in --model.ckpt; did you mean saev-demo/scenes"
        with pytest.raises(InputError, match=said):
            load_backbone("clip", ckpt, "random")
    with pytest.raises(InputError, match=r"in --visualizer.namer; did you mean saev-demo/scenes"):
        load_clip("saev-demo/photographs-of-everything")
    with pytest.raises(
        InputError, match=r"--model.ckpt saev-demo/scenes is no model .* timm: give --model.family clip"
    ):
        load_backbone("timm", CKPT)
    (tmp_path / "packaged" / "open_clip_config.json").write_text("{")
    with pytest.raises(InputError, match=r"--model.ckpt saev-demo/scenes is no model of open_clip: .*config.json"):
        load_backbone("clip", CKPT)
