"""What the generator knows of scenes: which values of which factors each has. It is the truth that a demo answers by.

Shape suffixes: i = scenes, j = values of factors.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from saev.csv_text import csv_text
from saev.mixing import image_hashes
from saev.scenes.captions import prompt
from saev.scenes.factors import FACTORS, Scene
from saev.vit.images import DemoScenes

VALUES: Final = tuple((factor, value) for factor, values in FACTORS.items() for value in values)
"""All values of all factors, each with its factor."""
NAMES: Final = tuple(value for _, value in VALUES)
PHRASES: Final = tuple(prompt(factor, value) for factor, value in VALUES)
"""What a caption would say of each."""
WARM: Final = ("red", "yellow")
"""The colours that count as warm: together they are something for which no single latent need stand."""
SUMMER: Final = "mint"
"""The background of most scenes that were made "in summer"."""
_SUMMER_ODDS: Final = (0.1, 0.9)
"""Of the other backgrounds, and of that one."""


@final
@dataclass(frozen=True)
class KnownScenes:
    """What is in the scenes of a source."""

    source: DemoScenes

    @cached_property
    def scenes(self) -> Sequence[Scene]:
        """(i,) the scenes."""
        return [self.source.scene(index) for index in range(len(self.source))]

    @cached_property
    def y_ij(self) -> NDArray[np.int8]:
        """(i, j) 1 where a scene has a value: an object of it, or the background."""
        return np.array([[has(scene, *one) for one in VALUES] for scene in self.scenes], dtype=np.int8)

    @cached_property
    def warm_i(self) -> NDArray[np.int8]:
        """(i,) 1 where an object is red or yellow."""
        warm: NDArray[np.int8] = self.y_ij[:, [NAMES.index(colour) for colour in WARM]].max(1)
        return warm

    @cached_property
    def summer_i(self) -> NDArray[np.int8]:
        """(i,) 1 where a scene was made "in summer": an invention that goes with the background alone."""
        chance_i = image_hashes(np.arange(len(self.scenes)), self.source.seed) / 2**32
        is_tied_i = self.y_ij[:, NAMES.index(SUMMER)] == 1
        summer: NDArray[np.int8] = (chance_i < np.where(is_tied_i, *_SUMMER_ODDS[::-1])).astype(np.int8)
        return summer

    def truth(self, claim: str) -> NDArray[np.int8]:
        """(i,) whether it is true of each scene: a value of a factor, "warm" or "summer"."""
        made_up = {"warm": self.warm_i, "summer": self.summer_i}
        return made_up[claim] if claim in made_up else self.y_ij[:, NAMES.index(claim.removeprefix("background="))]

    def table(self) -> str:
        """A CSV as users have it: columns of yes and no for objects and for what is made up, and the background."""
        names = [*(name for factor, name in VALUES if factor != "background"), "warm", "summer"]
        columns = {
            "path": [self.source.record(index).path for index in range(len(self.source))],
            **{name: _words(self.truth(name)) for name in names},
            "background": [scene.background for scene in self.scenes],
        }
        return csv_text(list(columns), zip(*columns.values(), strict=True))


def _words(is_i: NDArray[np.int8]) -> list[str]:
    return ["yes" if one else "no" for one in is_i.tolist()]


def has(scene: Scene, factor: str, value: str) -> bool:
    """Whether a scene has a value: any object of it, or the background."""
    if factor == "background":
        return scene.background == value
    return any(getattr(thing, factor) == value for thing in scene.objects)


def index_of(path: str) -> int:
    """The number of a scene by its name.

    >>> index_of("scene-000012.png")
    12
    """
    return int(PurePosixPath(path).stem.rpartition("-")[2])
