"""Scenes at random, each a function of a seed and its own number."""

from collections.abc import Iterator

import numpy as np

from saev.errors import InputError, WrongArgument
from saev.mixing import mix64
from saev.scenes.factors import (
    BACKGROUNDS,
    COLOURS,
    N_GRAINS,
    POSITIONS,
    SHAPES,
    SHIFT,
    SIZES,
    TEXTURES,
    Scene,
    SceneObject,
)

_COLOURS, _SIZES, _POSITIONS, _BACKGROUNDS = (tuple(values) for values in (COLOURS, SIZES, POSITIONS, BACKGROUNDS))
_N_WORDS = 3 + 7 * len(POSITIONS)
_COUNTER = np.arange(_N_WORDS, dtype=np.uint64)
_BLOCK = 1024  # scenes whose words are made together, which takes a twentieth of the time


def sample(seed: int, index: int, n_objects: tuple[int, int] = (1, 3)) -> Scene:
    """Scene `index` of those of a seed: the same on every machine, whichever others are asked for.

    All values of a factor are equally frequent, and independent of those of other factors.

    Args:
        seed: From 0 to 2^32 - 1.
        index: From 0 to 2^32 - 1.
        n_objects: The fewest and the most objects, from 0 to 4.

    Raises:
        InputError: A number is out of range.

    >>> sample(seed=0, index=3) == sample(seed=0, index=3)
    True
    """
    return next(samples(seed, range(index, index + 1), n_objects))


def samples(seed: int, indices: range, n_objects: tuple[int, int] = (1, 3)) -> Iterator[Scene]:
    """Many scenes of a seed, as `sample` gives each, in a quarter of the time.

    Raises:
        InputError: A number is out of range.

    >>> list(samples(5, range(2, 4))) == [sample(5, 2), sample(5, 3)]
    True
    """
    fewest, most = n_objects
    if not 0 <= fewest <= most <= len(POSITIONS):
        raise WrongArgument("n_objects", f"{list(n_objects)}: give the fewest and the most, from 0 to {len(POSITIONS)}")
    for index in (*indices[:1], *indices[-1:]):
        if not (0 <= seed < 2**32 and 0 <= index < 2**32):
            raise InputError(f"seed {seed} and index {index} of a scene must be from 0 to 2^32 - 1")
    blocks = (indices[start : start + _BLOCK] for start in range(0, len(indices), _BLOCK))
    return (_scene(iter(words), fewest, most) for block in blocks for words in _words(seed, block))


def _scene(words: Iterator[int], fewest: int, most: int) -> Scene:
    background = _BACKGROUNDS[next(words) % len(_BACKGROUNDS)]
    grain = next(words) % N_GRAINS
    free = list(_POSITIONS)
    count = fewest + next(words) % (most - fewest + 1)
    return Scene(background, tuple(_object(words, free) for _ in range(count)), grain)


def _object(words: Iterator[int], free: list[str]) -> SceneObject:
    return SceneObject(
        SHAPES[next(words) % len(SHAPES)],
        _COLOURS[next(words) % len(_COLOURS)],
        TEXTURES[next(words) % len(TEXTURES)],
        _SIZES[next(words) % len(_SIZES)],
        free.pop(next(words) % len(free)),
        next(words) % (2 * SHIFT + 1) - SHIFT,
        next(words) % (2 * SHIFT + 1) - SHIFT,
    )


def _words(seed: int, indices: range) -> list[list[int]]:
    """Of each scene random integers of 64 bits: hashes, since numpy's own may change with its version."""
    start = mix64(np.array(indices, dtype=np.uint64) | np.uint64(seed << 32))
    words: list[list[int]] = mix64(mix64(start[:, None] + _COUNTER)).tolist()
    return words
