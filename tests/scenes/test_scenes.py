"""Scenes are functions of their seed and number; pictures, masks and captions agree with them."""

import hashlib
import time
from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.errors import InputError
from saev.scenes.captions import attributes, caption, everything, prompt, shortened
from saev.scenes.drawing import draw, object_mask
from saev.scenes.factors import (
    BACKGROUNDS,
    CELL,
    COLOURS,
    FACTORS,
    N_GRAINS,
    POSITIONS,
    SHAPES,
    SHIFT,
    SIZES,
    Scene,
    SceneObject,
)
from saev.scenes.pairs import changed, without_object, without_value
from saev.scenes.sampling import sample

words32 = st.integers(0, 2**32 - 1)
scenes = st.builds(sample, words32, words32)


def test_scenes_of_a_seed_are_the_same_for_ever() -> None:
    digest = hashlib.sha256()
    for index in (0, 1, 999, 2**32 - 1):
        scene = sample(7, index)
        digest.update(repr(scene).encode() + draw(scene).tobytes() + object_mask(scene).tobytes())
        digest.update(caption(scene, Random(index)).encode())
    assert digest.hexdigest()[:16] == "739f9613bfea70af"


def test_scenes_don_t_depend_on_which_others_are_asked_for() -> None:
    forwards = [sample(3, index) for index in range(200)]
    assert [sample(3, index) for index in reversed(range(200))] == forwards[::-1]
    assert len(set(forwards)) == 200
    assert not set(forwards) & {sample(4, index) for index in range(200)}


def test_all_values_are_equally_frequent_and_independent() -> None:
    drawn = [sample(5, index) for index in range(6000)]
    things = [thing for scene in drawn for thing in scene.objects]
    assert np.allclose(np.bincount([len(scene.objects) for scene in drawn]) / 6000, [0, 1 / 3, 1 / 3, 1 / 3], atol=0.03)
    for factor, values in FACTORS.items():
        column = (
            [scene.background for scene in drawn] if factor == "background" else [getattr(t, factor) for t in things]
        )
        assert np.allclose([column.count(value) / len(column) for value in values], 1 / len(values), atol=0.03)
    both = [(thing.shape, thing.colour) for thing in things]
    for pair in product(SHAPES, COLOURS):
        assert both.count(pair) / len(both) == pytest.approx(1 / 30, abs=0.01)
    assert {thing.dx for thing in things} == {*range(-SHIFT, SHIFT + 1)}
    assert {scene.grain for scene in drawn} == {*range(N_GRAINS)}


@given(scenes)
def test_an_object_is_where_its_position_says_and_touches_no_other(scene: Scene) -> None:
    mask = object_mask(scene)
    assert set(np.unique(mask)) == set(range(len(scene.objects) + 1))
    for i, thing in enumerate(scene.objects):
        column, row = POSITIONS[thing.position]
        rows, columns = np.nonzero(mask == i + 1)
        assert row < rows.min() and rows.max() < row + CELL - 1
        assert column < columns.min() and columns.max() < column + CELL - 1
        assert abs((columns.min() + columns.max() + 1) / 2 - thing.x) <= 1
        assert abs((rows.min() + rows.max() + 1) / 2 - thing.y) <= SIZES[thing.size] / 14


@given(scenes, st.integers(0, 2), st.sampled_from(sorted(FACTORS)), st.data())
def test_a_pair_differs_in_one_factor_alone(scene: Scene, which: int, factor: str, data: st.DataObject) -> None:
    which %= len(scene.objects)
    taken = {thing.position for i, thing in enumerate(scene.objects) if i != which}
    value = data.draw(st.sampled_from([value for value in FACTORS[factor] if value not in taken]))
    other = changed(scene, factor, value, which)
    before, after = draw(scene), draw(other)
    own = (object_mask(scene) == which + 1) | (object_mask(other) == which + 1)
    if factor == "background":
        assert replace(other, background=scene.background) == scene
        assert (before == after)[object_mask(scene) > 0].all()
        return
    told = attributes(other.objects[which])
    assert told == {**attributes(scene.objects[which]), factor: value}
    assert (before == after)[~own].all()
    assert (before == after).all() == (scene == other)


@given(scenes, st.sampled_from([(factor, value) for factor in FACTORS for value in FACTORS[factor]]), words32)
def test_a_value_goes_from_all_objects_that_have_it_and_nothing_else_does(
    scene: Scene, gone: tuple[str, str], choice: int
) -> None:
    factor, value = gone
    found = without_value(scene, factor, value, choice)
    if factor == "background":
        assert (found is None) == (scene.background != value)
        assert found is None or (found.background != value and replace(found, background=value) == scene)
        return
    has = [getattr(thing, factor) == value for thing in scene.objects]
    assert (found is None) == (not any(has))
    if found is not None:
        assert not any(getattr(thing, factor) == value for thing in found.objects)
        pairs = zip(scene.objects, found.objects, has, strict=True)
        assert all(
            replace(new, **{factor: getattr(old, factor)}) == old and (new == old) != own for old, new, own in pairs
        )
        assert (found.background, found.grain) == (scene.background, scene.grain)
        assert len({thing.position for thing in found.objects}) == len(found.objects)


@given(scenes)
def test_the_mask_is_what_changes_when_an_object_goes(scene: Scene) -> None:
    gone = without_object(scene)
    assert gone.objects == scene.objects[1:]
    differs = (draw(scene) != draw(gone)).any(axis=2)
    assert not differs[object_mask(scene) != 1].any()
    assert differs[object_mask(scene) == 1].mean() > 0.9  # dark texture on black may hide in the noise


def test_shapes_colours_textures_and_backgrounds_can_be_told_apart() -> None:
    thing = SceneObject("disc", "red", "solid", "small", "top left")
    for size in SIZES:
        masks = [object_mask(Scene("grey", (replace(thing, shape=shape, size=size),))) for shape in SHAPES]
        for a, b in product(range(5), range(5)):
            assert a == b or (masks[a] != masks[b]).sum() > 0.1 * (masks[a] | masks[b]).sum()
    inks = [np.array(rgb) for rgb in (*COLOURS.values(), *BACKGROUNDS.values())]
    assert min(np.abs(a - b).sum() for i, a in enumerate(inks) for b in inks[:i]) > 60


@given(scenes, words32)
def test_captions_say_what_is_true_and_all_of_it_if_asked(scene: Scene, seed: int) -> None:
    true = [attributes(thing) for thing in scene.objects]
    told = shortened(everything(scene), Random(seed), keep=0.5)
    assert told.background in (None, scene.background)
    assert all(any(said.items() <= thing.items() for thing in true) for said in told.objects)
    assert everything(scene).objects == (*true,)
    text = caption(scene, Random(seed), keep=1)
    assert f"{scene.background} background" in text
    assert all(value in text for thing in true for value in thing.values())


def test_a_prompt_tells_one_value() -> None:
    assert prompt("colour", "red") == "a red shape"
    assert prompt("position", "top left") == "a shape at the top left"
    assert prompt("shape", "ring") == "a ring"
    assert len({prompt(factor, value) for factor, values in FACTORS.items() for value in values}) == 27


def test_what_cannot_be_is_refused() -> None:
    scene = Scene("grey", tuple(SceneObject("disc", "red", "solid", "small", position) for position in POSITIONS))
    with pytest.raises(InputError, match=r"no factor 'hue'; there are shape, .*background"):
        changed(scene, "hue", "red")
    with pytest.raises(InputError, match=r"colour has no value 'ring'; there are red, "):
        prompt("colour", "ring")
    with pytest.raises(InputError, match=r"has 4 objects, counted from 0; there is none 4"):
        without_object(scene, 4)
    with pytest.raises(InputError, match=r"another object is at the top right"):
        changed(scene, "position", "top right")
    assert without_value(scene, "position", "top left", 0) is None  # where none is free
    with pytest.raises(InputError, match=r"n_objects \[2, 5\]: give the fewest"):
        sample(0, 0, n_objects=(2, 5))
    with pytest.raises(InputError, match=r"seed -1 and index 0"):
        sample(-1, 0)


def test_two_thousand_scenes_a_second() -> None:
    sample(0, 0)
    start = time.process_time()
    for index in range(1000):
        scene = sample(1, index)
        draw(scene)
        object_mask(scene)
    assert time.process_time() - start < 0.5
