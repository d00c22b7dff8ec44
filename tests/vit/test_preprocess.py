import json
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform, resolve_model_data_config

from saev.errors import InputError
from saev.vit.load import load_backbone
from saev.vit.preprocess import OpenClipPreprocessing, Preprocessing, TimmPreprocessing

OPEN_CLIP = {"mode": "RGB", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "fill_color": 0}
TIMM = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "crop_pct": 0.9}
ALL = [
    *(
        OpenClipPreprocessing({**OPEN_CLIP, "size": size, "interpolation": "bicubic", "resize_mode": mode})
        for mode in ("shortest", "longest", "squash")
        for size in (64, [48, 64])
    ),
    *(
        TimmPreprocessing({**TIMM, "input_size": [3, *size], "interpolation": "bicubic", "crop_mode": mode})
        for mode in ("center", "border", "squash")
        for size in ((64, 64), (48, 64))
    ),
]
each = pytest.mark.parametrize("preprocessing", ALL, ids=[f"{one.library}-{i}" for i, one in enumerate(ALL)])


def blobs(width: int, height: int) -> Image.Image:
    """A black picture with a few large white boxes."""
    pixels = np.zeros((height, width), np.uint8)
    pixels[height // 8 : height // 2, width // 6 : width // 2] = 255
    pixels[height // 2 : height - 20, width // 2 : width - 30] = 255
    return Image.fromarray(pixels)


def test_the_tensor_is_what_the_libraries_own_transforms_give():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 130, 3), np.uint8))
    model = timm.create_model("test_vit")
    config: dict[str, Any] = resolve_model_data_config(model)
    ours = load_backbone("timm", "test_vit", "random").preprocessing
    assert torch.equal(ours.tensor(picture), create_transform(**config)(picture))

    _, _, expected = open_clip.create_model_and_transforms("tiny-ViT")
    ours = load_backbone("clip", "tiny-ViT/openai", "random").preprocessing
    assert torch.equal(ours.tensor(picture), expected(picture))

    tag = open_clip.get_pretrained_cfg("tiny-SigLIP", "webli")
    keys = ("mean", "std", "interpolation", "resize_mode")
    expected = image_transform_v2(PreprocessCfg(size=32, **{key: tag[key] for key in keys}), is_train=False)
    ours = load_backbone("siglip", "tiny-SigLIP/webli", "random").preprocessing
    assert torch.equal(ours.tensor(picture), expected(picture))


@each
def test_the_view_is_the_tensor_without_normalisation(preprocessing: Preprocessing):
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 130, 3), np.uint8))
    tensor = preprocessing.tensor(picture)
    height, width = preprocessing.image_size
    assert tensor.shape == (3, height, width)
    view = preprocessing.view(picture)
    assert (view.mode, view.size) == ("RGB", (width, height))
    mean, std = (torch.tensor(preprocessing.config[key])[:, None, None] for key in ("mean", "std"))
    assert torch.allclose(
        tensor * std + mean, torch.from_numpy(np.asarray(view) / 255).permute(2, 0, 1).float(), atol=1e-6
    )
    assert torch.equal(preprocessing.tensor_of_view(view), tensor)


@each
@pytest.mark.parametrize("size", [(200, 120), (120, 200), (30, 40)])
def test_a_mask_moves_as_its_picture_does(preprocessing: Preprocessing, size: tuple[int, int]):
    mask = blobs(*(max(size) * s // min(size) * 4 for s in size)).resize(size, Image.Resampling.NEAREST)
    moved = np.asarray(preprocessing.nearest(mask))
    seen = np.asarray(preprocessing.view(mask.convert("RGB")))[:, :, 0]
    inside = preprocessing.nearest(Image.new("L", size, 7))
    content = np.asarray(inside) == 7
    assert moved.shape == seen.shape == preprocessing.image_size
    assert set(np.unique(moved)) <= {0, 255}
    assert set(np.unique(inside)) <= {7, 255}
    assert ((moved > 127) == (seen > 127))[content].mean() > 0.96


def test_padding_becomes_no_label():
    longest = OpenClipPreprocessing({**OPEN_CLIP, "size": 64, "interpolation": "bicubic", "resize_mode": "longest"})
    moved = np.asarray(longest.nearest(Image.new("L", (100, 50), 3)))
    assert (moved[:15] == 255).all()
    assert (moved[17:47] == 3).all()


@each
def test_it_survives_json(preprocessing: Preprocessing):
    again = Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict())))
    picture = Image.new("RGB", (70, 50), (10, 90, 200))
    assert torch.equal(again.tensor(picture), preprocessing.tensor(picture))


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"library": "timm"},
        {"library": "keras", "config": {}},
        {"library": "timm", "config": {"mean": 1}},
        {"library": "open_clip", "config": ALL[0].config | {"more": 1}},
        {**ALL[0].to_dict(), "more": 1},
    ],
)
def test_other_content_is_refused(content: object):
    with pytest.raises(InputError, match=r"preprocessing"):
        Preprocessing.from_dict(content)
