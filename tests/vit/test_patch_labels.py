import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from saev.vit.patch_labels import patch_labels


def brute_force(mask: np.ndarray, grid: tuple[int, int], pixel_agg: str, threshold: float) -> list[int]:
    height, width = mask.shape[0] // grid[0], mask.shape[1] // grid[1]
    labels = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            patch = mask[row * height : (row + 1) * height, column * width : (column + 1) * width].ravel().tolist()
            foreground = [value for value in patch if value not in (0, 255)]
            pool = foreground if pixel_agg == "prefer-fg" and foreground else patch
            label = max(sorted(set(pool)), key=pool.count)
            labels.append(label if patch.count(label) / len(patch) >= threshold else 255)
    return labels


@given(
    mask=arrays(
        np.uint8,
        st.tuples(st.integers(4, 13), st.integers(4, 13)),
        elements=st.sampled_from([0, 1, 2, 254, 255]),
    ),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pixel_agg=st.sampled_from(["majority", "prefer-fg"]),
    threshold=st.sampled_from([0.0, 0.5, 0.75, 1.0]),
)
def test_labels_equal_brute_force(mask, grid, pixel_agg, threshold):
    labels = patch_labels(mask, grid, pixel_agg, threshold)
    assert labels.dtype == np.uint8
    assert labels.tolist() == brute_force(mask, grid, pixel_agg, threshold)


@pytest.mark.parametrize(
    ("pixel_agg", "threshold", "expected"),
    [
        ("majority", 0.0, [0, 7]),
        ("prefer-fg", 0.0, [7, 7]),
        ("majority", 0.8, [255, 7]),
        ("prefer-fg", 0.3, [255, 7]),
    ],
)
def test_majority_prefer_foreground_and_threshold(pixel_agg, threshold, expected):
    mask = np.array([[0, 0, 7, 7], [0, 7, 7, 7]], np.uint8)
    assert patch_labels(mask, (1, 2), pixel_agg, threshold).tolist() == expected


def test_pixels_beyond_whole_patches_belong_to_none():
    mask = np.zeros((7, 7), np.uint8)
    mask[6:] = mask[:, 6:] = 9
    assert patch_labels(mask, (3, 3)).tolist() == [0] * 9
