"""Patch values drawn over the picture that the model saw.

Shapes: h, w patches of the grid; H, W pixels of the picture.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from saev.latents.heatmaps import quantise

COLOUR_MAPS = ("inferno", "viridis", "cividis")
"""Colour maps of matplotlib whose lightness only grows: readable on a projector and to colour-blind readers."""


def overlay_table(colour_map: str = COLOUR_MAPS[0]) -> npt.NDArray[np.uint8]:
    """Colour and opacity of each quantised level, (256, 4) RGBA; the gallery's page uses the same tables.

    Level 0 is transparent: a patch on which nothing fires is seen as it is.
    """
    import matplotlib  # Here and not above: only drawing needs it.

    levels = np.linspace(0, 1, 256)
    rgba = np.column_stack([matplotlib.colormaps[colour_map](levels)[:, :3], np.sqrt(levels)])
    return (rgba * 255).round().astype(np.uint8)


def overlay(picture: Image.Image, patches: npt.NDArray[np.floating], vmax: float, opacity: float = 0.6) -> Image.Image:
    """Lay a heatmap over a picture; patch (r, c) covers exactly its own pixels, with sharp edges.

    Args:
        picture: RGB, of any size; the grid spans it whole.
        patches: (h, w) values >= 0.
        vmax: the value that gets the brightest colour, in the units of `patches`.
        opacity: from 0 (picture alone) to 1 (the strongest patches hide the picture).

    Returns:
        RGB of the picture's size.
    """
    assert 0 <= opacity <= 1, f"opacity {opacity} is not within 0..1"
    rgba_hw = overlay_table()[quantise(patches, vmax)]
    rows = _nearest(picture.height, patches.shape[0])
    columns = _nearest(picture.width, patches.shape[1])
    rgba_HW = rgba_hw[rows][:, columns].astype(np.float64)
    alpha_HW = rgba_HW[..., 3:] / 255 * opacity
    pixels_HW = np.asarray(picture.convert("RGB"), dtype=np.float64)
    blended_HW = pixels_HW * (1 - alpha_HW) + rgba_HW[..., :3] * alpha_HW
    return Image.fromarray(blended_HW.round().astype(np.uint8))


def _nearest(n_pixels: int, n_patches: int) -> npt.NDArray[np.int64]:
    """The patch in which the centre of each pixel lies; integer arithmetic, hence exact."""
    return (2 * np.arange(n_pixels, dtype=np.int64) + 1) * n_patches // (2 * n_pixels)
