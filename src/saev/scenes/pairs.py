"""The same scene but for one thing."""

from dataclasses import replace
from typing import Any

from saev.errors import InputError
from saev.scenes.captions import check_value
from saev.scenes.factors import Scene, SceneObject


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


def _object(scene: Scene, which: int) -> SceneObject:
    if not 0 <= which < len(scene.objects):
        raise InputError(f"the scene has {len(scene.objects)} objects, counted from 0; there is none {which}")
    return scene.objects[which]


def _with(scene: Scene, which: int, things: tuple[SceneObject, ...]) -> Scene:
    return replace(scene, objects=(*scene.objects[:which], *things, *scene.objects[which + 1 :]))
