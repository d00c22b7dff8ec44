"""What scenes differ in, and what a scene is."""

from dataclasses import dataclass
from typing import Final

Colour = tuple[int, int, int]

SIDE: Final = 64
"""Pixels of a picture in each direction."""
CELL: Final = SIDE // 2
"""Pixels of a quadrant, which holds one object at most: so none hides another."""

SHAPES: Final = ("disc", "square", "triangle", "cross", "ring")
COLOURS: Final[dict[str, Colour]] = {
    "red": (214, 40, 44),
    "green": (40, 160, 60),
    "blue": (44, 84, 214),
    "yellow": (246, 214, 48),
    "purple": (158, 62, 188),
    "cyan": (40, 200, 220),
}
TEXTURES: Final = ("solid", "striped", "dotted", "checked")
SIZES: Final[dict[str, int]] = {"small": 18, "large": 28}
"""Name -> pixels across; even numbers."""
POSITIONS: Final[dict[str, tuple[int, int]]] = {
    "top left": (0, 0),
    "top right": (CELL, 0),
    "bottom left": (0, CELL),
    "bottom right": (CELL, CELL),
}
"""Name -> first column and first row of the quadrant."""
BACKGROUNDS: Final[dict[str, Colour]] = {
    "black": (22, 22, 26),
    "white": (240, 240, 236),
    "grey": (128, 128, 130),
    "brown": (112, 74, 44),
    "pink": (244, 168, 194),
    "mint": (168, 226, 196),
}
OBJECT_FACTORS: Final[dict[str, tuple[str, ...]]] = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "texture": TEXTURES,
    "size": tuple(SIZES),
    "position": tuple(POSITIONS),
}
FACTORS: Final[dict[str, tuple[str, ...]]] = {**OBJECT_FACTORS, "background": tuple(BACKGROUNDS)}
"""Name of each factor -> its values; all but the last one belong to an object."""
SHIFT: Final = 6
"""The most that a small object lies beside the middle of its quadrant, in pixels; a large one a sixth of that."""
N_GRAINS: Final = 16
"""How many patterns of faint noise there are."""


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object; `dx` and `dy` shift it in its quadrant, from -`SHIFT` to `SHIFT`."""

    shape: str
    colour: str
    texture: str
    size: str
    position: str
    dx: int = 0
    dy: int = 0

    @property
    def box(self) -> tuple[int, int, int]:
        """First column, first row, and pixels across of the square that holds the object."""
        across = SIZES[self.size]
        column, row = POSITIONS[self.position]
        margin = (CELL - across) // 2
        return column + margin + _shift(self.dx, margin), row + margin + _shift(self.dy, margin), across

    @property
    def x(self) -> int:
        """Column of its middle."""
        column, _, across = self.box
        return column + across // 2

    @property
    def y(self) -> int:
        """Row of its middle, counted from the top."""
        _, row, across = self.box
        return row + across // 2


@dataclass(frozen=True, slots=True)
class Scene:
    """Objects in quadrants of their own on a background; `grain`, from 0 to `N_GRAINS` - 1, is its faint noise."""

    background: str
    objects: tuple[SceneObject, ...]
    grain: int = 0


def _shift(shift: int, margin: int) -> int:
    """Pixels, such that at least one of the margin stays free: objects of neighbouring quadrants don't touch."""
    return (2 * shift * (margin - 1) + SHIFT) // (2 * SHIFT)
