"""Heatmaps, their colours and grids of pictures, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saev.gallery.grid import image_grid
from saev.latents.heatmaps import quantise
from saev.pages.heatmap import COLOUR_MAPS, overlay, overlay_table

BRIGHTEST = overlay_table()[255, :3]


def lightness(colours: np.ndarray) -> np.ndarray:
    """L* of sRGB colours, (n, 3) uint8 to (n,) in 0..100."""
    channels = colours / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > 216 / 24389, 116 * np.cbrt(y) - 16, y * 24389 / 27)


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_colours_only_grow_lighter(name: str) -> None:
    light = lightness(overlay_table(name)[:, :3])
    assert (np.diff(light[::8]) > 0.5).all()
    assert light[0] < 18
    assert light[-1] > 90


def test_inferno_goes_from_black_to_yellow() -> None:
    assert overlay_table("inferno")[[0, 255], :3].tolist() == [[0, 0, 4], [252, 255, 164]]


@pytest.mark.parametrize("name", COLOUR_MAPS)
def test_opacity_grows_with_the_level(name: str) -> None:
    alpha = overlay_table(name)[:, 3].astype(int)
    assert (np.diff(alpha) >= 0).all()
    assert alpha[0] == 0
    assert alpha[255] == 255


@given(
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    patch_size=st.tuples(st.integers(1, 17), st.integers(1, 17)),
    data=st.data(),
)
def test_a_patch_lights_exactly_its_area(
    grid: tuple[int, int], patch_size: tuple[int, int], data: st.DataObject
) -> None:
    row, column = data.draw(st.integers(0, grid[0] - 1)), data.draw(st.integers(0, grid[1] - 1))
    patches = np.zeros(grid, dtype=np.float32)
    patches[row, column] = 2.5
    (height, width) = (grid[0] * patch_size[0], grid[1] * patch_size[1])
    picture = Image.new("RGB", (width, height), (90, 120, 60))
    lit = np.asarray(overlay(picture, patches, vmax=2.5, opacity=1.0))
    expected = np.zeros((height, width), dtype=bool)
    top, left = row * patch_size[0], column * patch_size[1]
    expected[top : top + patch_size[0], left : left + patch_size[1]] = True
    assert np.array_equal((lit == BRIGHTEST).all(axis=-1), expected)
    assert len(np.unique(lit[~expected], axis=0)) <= 1


def test_pictures_that_patches_do_not_divide_are_shared_out_by_pixel_centres() -> None:
    patches = np.array([[0.0, 1.0, 0.0]])
    lit = np.asarray(overlay(Image.new("RGB", (8, 1)), patches, vmax=1.0, opacity=1.0))
    assert (lit[0] == BRIGHTEST).all(axis=-1).tolist() == [False] * 3 + [True] * 2 + [False] * 3


def test_opacity_mixes_picture_and_colour() -> None:
    picture = Image.new("RGB", (4, 4), (100, 100, 100))
    ones = np.ones((2, 2))
    assert np.array_equal(overlay(picture, ones, 1.0, opacity=0.0), picture)
    mixed = np.asarray(overlay(picture, ones, 1.0, opacity=0.6))
    assert np.array_equal(mixed[0, 0], np.round(40 + 0.6 * BRIGHTEST))


def test_a_latent_that_never_fires_has_no_levels() -> None:
    assert not quantise(np.zeros((2, 3), dtype=np.float32), vmax=0.0).any()
    with pytest.raises(AssertionError, match="finite"):
        quantise(np.array([[np.nan]]), vmax=1.0)


def test_a_grid_holds_every_picture_in_its_cell() -> None:
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pictures = [Image.new("RGB", (6, 4), colours[0]), *(Image.new("RGB", (2, 4), c) for c in colours[1:])]
    sheet = image_grid(pictures, n_columns=2, pad=1)
    assert sheet.size == (15, 11)
    assert [sheet.getpixel(place) for place in ((1, 1), (10, 1), (3, 6))] == colours
    assert sheet.getpixel((0, 0)) == sheet.getpixel((8, 1)) == sheet.getpixel((10, 6)) == (255, 255, 255)
    assert image_grid(pictures[:1], n_columns=5, pad=0).size == (6, 4)
