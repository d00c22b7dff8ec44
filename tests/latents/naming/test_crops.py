"""Crops around what a latent looks at, pixel by pixel."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saev.latents.naming.crops import CONTEXT, LEAST, STRONG, crop_box


def on(shape: tuple[int, int], values: dict[tuple[int, int], float]) -> np.ndarray:
    heatmap = np.zeros(shape, dtype=np.float32)
    for place, value in values.items():
        heatmap[place] = value
    return heatmap


@pytest.mark.parametrize(
    ("heatmap", "size", "box"),
    [
        # Two patches of 20 x 20, three columns and one row: 60 + 2 x 15 pixels around (20..80, 40..60).
        (on((5, 10), {(2, 1): 2.0, (2, 2): 4.0, (2, 3): 2.0}), (200, 100), (5, 5, 95, 95)),
        # At the corner: 40 + 2 x 10 pixels, moved into the picture.
        (on((5, 10), {(0, 9): 4.0, (1, 8): 3.0}), (200, 100), (140, 0, 200, 60)),
        # One small patch: LEAST of the shorter side, 40 pixels around its centre (110, 50).
        (on((10, 20), {(5, 11): 1.0}), (200, 100), (95, 35, 135, 75)),
        # Wider than the picture is high: the picture's height.
        (on((2, 8), dict.fromkeys([(1, c) for c in range(1, 5)], 1.0)), (160, 40), (0, 0, 120, 40)),
        # Patches of 32/3 pixels, rounded outwards: 10..22 and 21..32, and 3 more.
        (on((3, 3), {(2, 1): 1.0}), (32, 32), (7, 14, 25, 32)),
        # Nothing fires.
        (on((3, 4), {}), (40, 30), (0, 0, 40, 30)),
        # Everything fires alike.
        (np.ones((3, 4)), (40, 30), (0, 0, 40, 30)),
    ],
)
def test_boxes(heatmap: np.ndarray, size: tuple[int, int], box: tuple[int, int, int, int]) -> None:
    assert crop_box(heatmap, size) == box


def test_what_is_apart_or_weaker_than_half_is_left_out() -> None:
    alone = on((10, 20), {(5, 11): 4.0})
    others = on((10, 20), {(5, 11): 4.0, (5, 12): 4 * STRONG - 0.1, (0, 0): 3.9, (9, 19): 4.0})
    assert crop_box(others, (400, 200)) == crop_box(alone, (400, 200))


def region(heatmap: np.ndarray) -> set[tuple[int, int]]:
    """Patches that hang together with the strongest one, by search."""
    peak = np.unravel_index(np.argmax(heatmap), heatmap.shape)
    found, todo = set(), [(int(peak[0]), int(peak[1]))]
    while todo:
        r, c = todo.pop()
        inside = 0 <= r < heatmap.shape[0] and 0 <= c < heatmap.shape[1]
        if inside and (r, c) not in found and heatmap[r, c] >= STRONG * heatmap[peak]:
            found.add((r, c))
            todo += [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return found


@given(
    grid=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 10**6),
)
def test_any_box_holds_the_region_and_its_context_and_lies_in_the_picture(
    grid: tuple[int, int], size: tuple[int, int], seed: int
) -> None:
    heatmap = np.random.default_rng(seed).exponential(size=grid) ** 2
    left, top, right, bottom = crop_box(heatmap, size)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    patches = region(heatmap)
    height, width = Fraction(size[1], grid[0]), Fraction(size[0], grid[1])
    assert left <= min(c for _, c in patches) * width
    assert right >= (max(c for _, c in patches) + 1) * width
    assert top <= min(r for r, _ in patches) * height
    assert bottom >= (max(r for r, _ in patches) + 1) * height
    longer = max(
        (max(c for _, c in patches) - min(c for _, c in patches) + 1) * width,
        (max(r for r, _ in patches) - min(r for r, _ in patches) + 1) * height,
    )
    side = max(longer * (1 + 2 * CONTEXT) - 1, LEAST * min(size) - 1)
    assert right - left >= min(side, size[0])
    assert bottom - top >= min(side, size[1])
    assert right - left == bottom - top or min(right - left, bottom - top) == min(size)
