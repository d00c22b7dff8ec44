"""Scenes in words, and prompts that sound like their captions."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from saev.errors import InputError
from saev.scenes.factors import FACTORS, OBJECT_FACTORS, Scene, SceneObject

_FRAMES: Final = ("{things} on a {background} background", "a {background} background with {things}")
_INTRODUCTIONS: Final = ("", "a picture of ")
OTHER_WORDS: Final = ("a", "and", "at", "background", "nothing", "of", "on", "picture", "shape", "the", "with")
"""Of captions, beside the values of factors."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a caption says: of each object that it names, factor -> value; and the background, or None."""

    objects: tuple[Mapping[str, str], ...]
    background: str | None


def everything(scene: Scene) -> Description:
    """All that can be said of a scene, its objects in order."""
    return Description(tuple(attributes(thing) for thing in scene.objects), scene.background)


def shortened(description: Description, rng: Random, keep: float) -> Description:
    """Some of it: each attribute is kept with this probability, objects in any order."""
    things = sorted(description.objects, key=lambda _: rng.random())
    told = tuple({factor: value for factor, value in thing.items() if rng.random() < keep} for thing in things)
    return Description(told, description.background if rng.random() < keep else None)


def phrase(description: Description, rng: Random) -> str:
    """A description in words."""
    things = " and ".join(_noun(told) for told in description.objects) or "nothing"
    introduction = _INTRODUCTIONS[int(rng.random() * len(_INTRODUCTIONS))]
    if description.background is None:
        return introduction + things
    frame = _FRAMES[int(rng.random() * len(_FRAMES))]
    return introduction + frame.format(things=things, background=description.background)


def caption(scene: Scene, rng: Random, keep: float = 0.6) -> str:
    """A caption, another one for each state of `rng`.

    Args:
        rng: Decides the order of objects, the words around them, and what is left out.
        keep: The probability of each attribute to be told; 1 tells all.

    >>> scene = Scene("pink", (SceneObject("ring", "red", "solid", "small", "top left"),))
    >>> caption(scene, Random(0), keep=1)
    'a small solid red ring at the top left on a pink background'
    """
    return phrase(shortened(everything(scene), rng, keep), rng)


def prompt(factor: str, value: str) -> str:
    """What a caption says that tells this and nothing else.

    Raises:
        InputError: There is no such factor, or it has no such value.

    >>> prompt("background", "mint"), prompt("size", "small")
    ('a shape on a mint background', 'a small shape')
    """
    check_value(factor, value)
    if factor == "background":
        return _FRAMES[0].format(things="a shape", background=value)
    return _noun({factor: value})


def attributes(thing: SceneObject) -> dict[str, str]:
    """Factor -> value of an object."""
    return {factor: getattr(thing, factor) for factor in OBJECT_FACTORS}


def check_value(factor: str, value: str) -> None:
    """Raise InputError for what is no factor, or no value of it."""
    if factor not in FACTORS:
        raise InputError(f"scenes have no factor {factor!r}; there are {', '.join(FACTORS)}")
    if value not in FACTORS[factor]:
        raise InputError(f"{factor} has no value {value!r}; there are {', '.join(FACTORS[factor])}")


def _noun(told: Mapping[str, str]) -> str:
    adjectives = [told[factor] for factor in ("size", "texture", "colour") if factor in told]
    place = f"at the {told['position']}" if "position" in told else None
    return " ".join(["a", *adjectives, told.get("shape", "shape"), *([place] if place else [])])
