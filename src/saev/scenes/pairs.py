"""The same scene but for one thing."""

from dataclasses import replace
from typing import Any

from saev.errors import InputError
from saev.scenes.captions import check_value
from saev.scenes.factors import FACTORS, Scene, SceneObject


def changed(scene: Scene, factor: str, value: str, which: int = 0) -> Scene:
    """The scene with another value of one factor, of object `which` or of the background.

    Pixels that neither show the object now nor before stay as they are.

    Raises:
        InputError: There is no such factor, value or object, or another object is in that quadrant.

    >>> scene = Scene("pink", (SceneObject("ring", "red", "solid", "small", "top left"),))
    >>> changed(scene, "colour", "blue").objects[0].colour
    'blue'
    """
    check_value(factor, value)
    if factor == "background":
        return replace(scene, background=value)
    thing = _object(scene, which)
    if factor == "position" and value in {other.position for other in scene.objects if other is not thing}:
        raise InputError(f"another object is at the {value}: give a quadrant that is free")
    told: dict[str, Any] = {factor: value}
    return _with(scene, which, (replace(thing, **told),))


def without_object(scene: Scene, which: int = 0) -> Scene:
    """The scene without object `which`.

    Raises:
        InputError: There is no such object.
    """
    _object(scene, which)
    return _with(scene, which, ())


def without_value(scene: Scene, factor: str, value: str, choice: int) -> Scene | None:
    """The scene without a value of a factor: what has it gets another one, each its own.

    Args:
        value: The value that goes.
        choice: Decides which other values there are.

    Returns:
        None where nothing has the value, or no quadrant is free.

    Raises:
        InputError: There is no such factor, or it has no such value.

    >>> thing = SceneObject("ring", "red", "solid", "small", "top left")
    >>> [thing.colour for thing in without_value(Scene("pink", (thing, thing)), "colour", "red", 7).objects]
    ['yellow', 'purple']
    """
    check_value(factor, value)
    others = [other for other in FACTORS[factor] if other != value]
    if factor == "background":
        return changed(scene, factor, others[choice % len(others)]) if scene.background == value else None
    having = [which for which, thing in enumerate(scene.objects) if getattr(thing, factor) == value]
    if factor == "position":
        taken = {thing.position for thing in scene.objects}
        others = [other for other in others if other not in taken]
    if not having or not others:
        return None
    for number, which in enumerate(having):
        scene = changed(scene, factor, others[(choice + number) % len(others)], which)
    return scene


def _object(scene: Scene, which: int) -> SceneObject:
    if not 0 <= which < len(scene.objects):
        raise InputError(f"the scene has {len(scene.objects)} objects, counted from 0; there is none {which}")
    return scene.objects[which]


def _with(scene: Scene, which: int, things: tuple[SceneObject, ...]) -> Scene:
    return replace(scene, objects=(*scene.objects[:which], *things, *scene.objects[which + 1 :]))
