import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.ranks import FORKSERVER
from torch.utils.data import DataLoader, Subset

from saev.vit.dataset import ImageDataset
from saev.vit.images import BadImage, ImageFolder, SegmentationFolder
from saev.vit.preprocess import OpenClipPreprocessing

MEAN = {"mean": [0.5] * 3, "std": [0.5] * 3}
SIZE = {"mode": "RGB", "size": 32, "interpolation": "bicubic", "resize_mode": "squash", "fill_color": 0}
PREPROCESSING = OpenClipPreprocessing({**SIZE, **MEAN})


def test_an_item_is_the_image_and_what_is_known_of_its_file(pictures: Path):
    dataset = ImageDataset(ImageFolder(pictures), PREPROCESSING, (4, 4))
    item = dataset[3]
    data = (pictures / "dog/1.jpeg").read_bytes()
    assert torch.equal(item.pop("image"), PREPROCESSING.tensor(Image.open(pictures / "dog/1.jpeg")))
    assert item == {
        "index": 3,
        "width": 43,
        "height": 30,
        "n_bytes": len(data),
        "digest": hashlib.sha256(data).hexdigest(),
    }


@pytest.mark.slow
def test_workers_that_inherit_nothing_give_the_same_batches_and_one_readable_line_for_a_bad_picture(pictures: Path):
    (pictures / "top.gif").write_bytes(b"")
    dataset = ImageDataset(ImageFolder(pictures).without([1]), PREPROCESSING, (4, 4))
    plain = DataLoader(Subset(dataset, range(5)), batch_size=3)
    apart = DataLoader(dataset, batch_size=3, num_workers=2, multiprocessing_context=FORKSERVER)
    batches = iter(apart)
    first = next(batches)
    assert first["index"].tolist() == [0, 1, 2]
    expected = next(iter(plain))
    assert torch.equal(first["image"], expected["image"])
    assert first["digest"] == expected["digest"]
    with pytest.raises(BadImage) as caught:
        next(batches)
    with pytest.raises(BadImage) as direct:
        dataset[5]
    assert str(caught.value) == str(direct.value)
    assert str(direct.value).startswith("picture 'top.gif' is empty (0 bytes)")


def test_a_bad_image_survives_pickling():
    error = BadImage("picture 'a\nb' is\nbad")
    assert str(error) == str(pickle.loads(pickle.dumps(error))) == "picture 'a b' is bad"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """One picture of 64 x 64 whose right half has the class 5, and its mask."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 5
    Image.fromarray(mask).save(tmp_path / "masks/a.png")
    Image.fromarray(mask).save(tmp_path / "images/a.png")
    return tmp_path


def test_masks_become_labels_of_patches(scene: Path):
    item = ImageDataset(SegmentationFolder(scene), PREPROCESSING, (2, 4))[0]
    assert item["patch_labels"].dtype == torch.uint8
    assert item["patch_labels"].tolist() == [0, 0, 5, 5, 0, 0, 5, 5]
    some = ImageDataset(SegmentationFolder(scene, pixel_agg="prefer-fg", threshold=0.6), PREPROCESSING, (1, 1))[0]
    assert some["patch_labels"].tolist() == [255]


def test_a_mask_of_another_size_is_refused_with_both_sizes(scene: Path):
    Image.new("L", (64, 60)).save(scene / "masks/a.png")
    with pytest.raises(BadImage, match=r"mask of picture 'a.png' is 64 x 60 pixels, the picture 64 x 64"):
        ImageDataset(SegmentationFolder(scene), PREPROCESSING, (2, 4))[0]
