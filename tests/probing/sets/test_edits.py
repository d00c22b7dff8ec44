"""Edits of pictures: what changes, what stays, and placebos of the same strength."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.scene_folder import scene

from saev.errors import InputError
from saev.probing.sets.edits import EDITS, MASKED_EDITS, Edited, edited, pixels
from saev.probing.sets.wanted_pairs import pairs_of

SCENE, OTHER = scene(0), scene(1)
MASK = np.zeros((224, 224), dtype=np.bool_)
MASK[60:140, 80:180] = True


def made(name: str, seed: int = 0) -> Edited:
    return edited(SCENE, name, np.random.default_rng(seed), mask=MASK, other=OTHER)


@pytest.mark.parametrize("name", [*EDITS, *MASKED_EDITS])
def test_every_edit_has_a_placebo_as_strong_and_the_seed_decides(name: str) -> None:
    before = SCENE.tobytes()
    found = made(name)
    assert found.picture.size == found.placebo.size == SCENE.size
    assert found.strength > 2
    assert found.placebo_strength == pytest.approx(found.strength, rel=0.02)
    assert found.placebo.tobytes() != found.picture.tobytes()
    assert made(name).picture.tobytes() == found.picture.tobytes()
    assert made(name).placebo.tobytes() == found.placebo.tobytes()
    assert made(name, seed=1).placebo.tobytes() != found.placebo.tobytes()
    assert SCENE.tobytes() == before


@pytest.mark.parametrize(
    ("name", "is_changed"), [("object-removed", MASK), ("cut-out", ~MASK), ("background-swapped", ~MASK)]
)
def test_masks_say_where_pictures_change(name: str, is_changed: Any) -> None:
    found = made(name)
    for picture in (found.picture, found.placebo):
        assert (pixels(picture) == pixels(SCENE))[~is_changed].all()
        assert (pixels(picture) != pixels(SCENE)).any(axis=2)[is_changed].mean() > 0.9
    if name == "background-swapped":
        assert (pixels(found.picture) == pixels(OTHER))[~MASK].all()
    else:
        assert len(np.unique(pixels(found.picture)[is_changed], axis=0)) == 1


def test_what_stays_stays() -> None:
    grey = pixels(made("grey").picture)
    assert (grey == grey[..., :1]).all()
    hue = made("hue").picture.convert("HSV")
    for own, turned in zip(SCENE.convert("HSV").split()[1:], hue.split()[1:], strict=True):
        assert np.abs(np.asarray(own, dtype=int) - np.asarray(turned, dtype=int)).max() <= 4
    shuffled = pixels(made("shuffled").picture)
    assert np.array_equal(np.sort(shuffled.ravel()), np.sort(pixels(SCENE).ravel()))
    assert np.array_equal(pixels(made("mirrored").picture), pixels(SCENE)[:, ::-1])


@pytest.mark.parametrize(
    ("picture", "facts", "message"),
    [
        (SCENE, {"name": "striped"}, "edit 'striped' is unknown: choose from grey, hue, blurred"),
        (SCENE, {"name": "cut-out"}, "'cut-out' needs a mask"),
        (SCENE, {"name": "background-swapped", "mask": MASK}, "another picture"),
        (SCENE, {"name": "cut-out", "mask": MASK[:100]}, "does not fit a picture of 224 x 224"),
        (SCENE, {"name": "cut-out", "mask": np.ones_like(MASK)}, "leaves no background"),
        (SCENE, {"name": "cut-out", "mask": np.zeros_like(MASK)}, "with 0 pixels of the object"),
        (Image.new("RGB", (4, 90)), {"name": "grey"}, "4 x 90 pixels is too small"),
    ],
)
def test_what_makes_no_sense_is_refused(picture: Image.Image, facts: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        edited(picture, rng=np.random.default_rng(0), **facts)


def folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)
    return root


def test_pictures_of_two_folders_are_paired_by_name(tmp_path: Path) -> None:
    before = folder(tmp_path / "before", "bird/1.png", "bird/2.jpg", "3.png")
    after = folder(tmp_path / "after", "bird/1.jpg", "bird/2.jpg", "3.png")
    found = pairs_of(before, after)
    assert [one.name for one in found] == ["3", "bird/1", "bird/2"]
    assert (found[1].before, found[1].after) == (before / "bird/1.png", after / "bird/1.jpg")
    folder(after, "bird/4.png")
    with pytest.raises(InputError, match="after: 1 of 4 pictures have no counterpart, first 'bird/4'"):
        pairs_of(before, after)
    with pytest.raises(InputError, match="before: 2 of 3 pictures have no counterpart"):
        pairs_of(before, folder(tmp_path / "one", "3.png"))
    with pytest.raises(InputError, match=r"'3\.jpg' and '3\.png' have one name"):
        pairs_of(folder(before, "3.jpg"), after)
