"""Generated scenes as a source of pictures: the same for ever, and all that they say of themselves is true."""

import hashlib
import io
import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from saev.errors import InputError
from saev.scenes.captions import attributes
from saev.scenes.drawing import draw, object_mask
from saev.scenes.factors import FACTORS, SHAPES
from saev.vit.images import DemoScenes, ImageFolder, class_with_metadata, description, from_description
from saev.vit.images.base import NO_LABEL
from saev.vit.images.demo_scenes import VERSION
from saev.vit.images.plain_png import n_bytes_of_png, plain_png
from saev.vit.patch_labels import patch_labels


@given(st.tuples(st.integers(1, 90), st.integers(1, 90)).flatmap(lambda size: arrays(np.uint8, (*size, 3))))
def test_a_plain_png_holds_the_pixels_in_as_many_bytes_as_is_said(pixels: np.ndarray) -> None:
    data = plain_png(pixels)
    assert len(data) == n_bytes_of_png(*pixels.shape[:2])
    with Image.open(io.BytesIO(data)) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert np.array_equal(np.asarray(picture), pixels)


def test_pictures_too_large_for_one_block_are_refused() -> None:
    assert len(plain_png(np.zeros((255, 85, 3), np.uint8))) < 2**16 + 100
    with pytest.raises(InputError, match=r"85 x 256 pixels is too large to be written without compression"):
        plain_png(np.zeros((256, 85, 3), np.uint8))


def test_files_and_names_of_a_seed_are_the_same_for_ever() -> None:
    """If they are others, recordings of them show grey tiles: raise `VERSION`, and say so where it is described."""
    digest = hashlib.sha256(f"{VERSION}".encode())
    source = DemoScenes(n_scenes=40, seed=3)
    for index in range(40):
        entry = source.record(index)
        digest.update(f"{entry.path} {entry.label} {source.patch_class_names}".encode() + source.read_bytes(index))
    assert digest.hexdigest()[:16] == "1e0e9e3ddafa49ea"


def test_pictures_masks_labels_and_columns_say_what_is_drawn() -> None:
    source = DemoScenes(n_scenes=60, seed=4)
    table = source.metadata()
    told_factors = ("colour", "texture", "size", "position")
    assert [*table] == [value for factor in told_factors for value in FACTORS[factor]]
    for index in reversed(range(60)):  # in any order
        scene, entry = source.scene(index), source.record(index)
        data = source.read_bytes(index)
        picture, mask = source.read_with_mask(index, data)
        assert mask is not None
        assert (entry.path, entry.label, entry.n_bytes) == (f"scene-{index:06d}.png", scene.background, len(data))
        assert np.array_equal(np.asarray(picture), draw(scene))
        names = np.array(source.patch_class_names)[np.asarray(mask)]
        own = object_mask(scene)
        assert (names[own == 0] == "background").all()
        assert all((names[own == i + 1] == thing.shape).all() for i, thing in enumerate(scene.objects))
        told = {attributes(one)[factor] for one in scene.objects for factor in told_factors}
        assert {name for name, cells in table.items() if cells[index] == "yes"} == told


def test_no_patch_of_an_object_is_called_background() -> None:
    source = DemoScenes(n_scenes=200, seed=6)
    for index in range(200):
        mask = np.asarray(source.patch_mask(index))
        labels = patch_labels(mask, (8, 8), source.pixel_agg, source.threshold).reshape(8, 8)
        patches = mask.reshape(8, 8, 8, 8)
        assert ((labels == 0) == (patches == 0).all(axis=(1, 3))).all()
        shapes = {1 + SHAPES.index(thing.shape) for thing in source.scene(index).objects}
        assert {*np.unique(labels[labels != 0]).tolist()} - {NO_LABEL} == shapes


def test_another_seed_number_of_scenes_or_of_objects_is_another_set() -> None:
    ways = [{}, {"seed": 1}, {"n_scenes": 31}, {"n_objects": (1, 2)}, {"n_objects": (0, 3)}]
    identities = [DemoScenes(**{"n_scenes": 30, **way}).identity() for way in ways]
    assert len({json.dumps(one, sort_keys=True) for one in identities}) == len(ways)
    single = {label: DemoScenes(30, 0, (1, 1), label).identity() for label in FACTORS}
    assert len({one["sha256"] for one in single.values()}) == len(FACTORS)
    assert identities[0] == DemoScenes(n_scenes=30).identity()


@pytest.mark.parametrize("label", FACTORS)
def test_single_objects_may_be_labelled_by_any_factor(label: str) -> None:
    source = DemoScenes(n_scenes=80, n_objects=(1, 1), label=label)
    table = source.metadata()
    assert source.class_names == sorted(FACTORS[label])
    assert [*table] == [one for one in ("colour", "texture", "size", "position", "background") if one != label]
    for factor, value in ((factor, value) for factor, values in FACTORS.items() for value in values):
        kind, _, name = source.attribute(factor, value).partition(":")
        assert kind == ("label" if factor == label else "patch" if factor == "shape" else "metadata")
        column, _, cell = name.partition("=")
        has = [{**attributes(scene.objects[0]), "background": scene.background}[factor] == value
               for scene in map(source.scene, range(80))]  # fmt: skip
        assert kind != "metadata" or [one == cell for one in table[column]] == has
        assert kind != "label" or [source.record(index).label == value for index in range(80)] == has
    for index in range(80):
        scene = source.scene(index)
        (thing,) = scene.objects
        assert source.record(index).label == {**attributes(thing), "background": scene.background}[label]


def test_what_a_recording_says_makes_it_again_also_with_pictures_left_out() -> None:
    source = DemoScenes(n_scenes=12, seed=9, n_objects=(1, 1), label="shape").without([0, 5])
    again = from_description(json.loads(json.dumps(description(source))))
    assert [again.record(index) for index in range(10)] == [source.record(index) for index in range(10)]
    assert again.read_bytes(4) == source.read_bytes(4) == DemoScenes(12, 9, (1, 1)).read_bytes(5 + 1)
    assert again.metadata() == source.metadata()
    assert [len(cells) for cells in again.metadata().values()] == [10] * 5


def test_scenes_of_another_version_are_not_drawn() -> None:
    content = DemoScenes(n_scenes=1).describe()
    content["args"]["version"] = VERSION + 1
    with pytest.raises(InputError, match=rf"scenes of version {VERSION + 1}; this saev draws those of {VERSION}"):
        from_description(content)


@pytest.mark.parametrize(
    "args",
    [
        {"n_scenes": 2**32},
        {"n_scenes": 2**64},
        {"n_scenes": "9"},
        {"n_scenes": 9.0},
        {"n_scenes": math.nan},
        {"seed": "x"},
        {"seed": 2**32},
        {"seed": None},
        {"seed": 0.5},
        {"n_objects": []},
        {"n_objects": [1]},
        {"n_objects": [1, 2, 3]},
        {"n_objects": ["1", "3"]},
        {"n_objects": [1.0, 2.5]},
        {"n_objects": [[1], [3]]},
        {"n_objects": {"a": 1, "b": 3}},
        {"n_objects": 3},
        {"label": ["shape"]},
        {"label": "x" * 10**6},
        {"version": [[1]]},
    ],
)
def test_what_another_s_recording_says_is_refused_at_once(args: dict[str, object]) -> None:
    scenes: dict[str, object] = {"class": "DemoScenes", "args": args}
    start = time.process_time()
    for content in (scenes, {"class": "Without", "args": {"source": scenes, "indices": [0]}}):
        with pytest.raises(InputError):
            from_description(content)
    assert time.process_time() - start < 1


def test_pictures_left_out_of_what_pictures_are_left_out_of_are_refused_at_any_depth() -> None:
    content: dict[str, object] = DemoScenes(n_scenes=9).describe()
    for _ in range(3000):
        content = {"class": "Without", "args": {"source": content, "indices": [0]}}
    assert class_with_metadata(content) is None
    with pytest.raises(InputError, match=r"pictures are left out of a source of which pictures are left out"):
        from_description(content)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_scenes": 0}, r"^n_scenes 0: give a number from 1 to"),
        ({"seed": -1}, r"^seed -1: give a number from 0 to 4,294,967,295"),
        ({"n_objects": (2, 5)}, r"n_objects \[2, 5\]: give the fewest and the most, from 0 to 4"),
        ({"label": "hue"}, r"^label 'hue': scenes have the factors shape, colour"),
        ({"label": "shape"}, r"label 'shape': scenes of \[1, 3\] objects .* give n_objects \[1, 1\]"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DemoScenes(**given)


@pytest.mark.parametrize(("factor", "value"), [("colour", "red"), ("background", "pink"), ("position", "top left")])
def test_pairs_lack_a_value_and_are_the_same_in_all_else(factor: str, value: str, tmp_path: Path) -> None:
    source = DemoScenes(n_scenes=120, seed=2)
    without, having = source.write_pairs(tmp_path, factor, value, range(20, 120))
    folders = ImageFolder(without), ImageFolder(having)
    values = [{scene.background, *(v for one in scene.objects for v in attributes(one).values())}
              for scene in map(source.scene, range(120))]  # fmt: skip
    has = [index for index in range(20, 120) if value in values[index]]
    assert [entry.path for entry in folders[0].entries] == [entry.path for entry in folders[1].entries]
    assert [int(entry.path[6:12]) for entry in folders[0].entries] == has
    for place, index in enumerate(has):
        assert folders[1].read_bytes(place) == source.read_bytes(index)  # as it was recorded
        scene, before, after = source.scene(index), draw(source.scene(index)), np.asarray(folders[0].read(place))
        its = [i for i, thing in enumerate(scene.objects) if getattr(thing, factor, None) == value]
        own = np.isin(object_mask(scene), [i + 1 for i in its] if its else [0])
        assert (before != after)[own].any(axis=1).mean() > 0.5
        if factor == "colour":
            assert (before == after)[~own].all()
    with pytest.raises(InputError, match=rf"none of 0 scenes has the {factor} '{value}'"):
        source.write_pairs(tmp_path, factor, value, [])


def test_pairs_of_two_kinds_don_t_get_into_one_folder_and_the_same_ones_may_be_written_again(tmp_path: Path) -> None:
    source = DemoScenes(n_scenes=60, seed=2)
    _, having = source.write_pairs(tmp_path, "colour", "red", range(60))
    names = {path.name: path.read_bytes() for path in having.iterdir()}
    for name in list(names)[:2]:
        (having / name).unlink()  # as after an interruption
    source.write_pairs(tmp_path, "colour", "red", range(60))
    assert {path.name: path.read_bytes() for path in having.iterdir()} == names
    with pytest.raises(InputError, match=r"without holds what is none of these pairs, such as 'scene-0000\d\d.png'"):
        source.write_pairs(tmp_path, "shape", "ring", range(60))
    with pytest.raises(InputError, match=r"there is no scene 60: give numbers from 0 to 59"):
        source.write_pairs(tmp_path / "other", "colour", "red", range(61))
