"""A colour map whose lightness only grows: readable in print, on a projector and to colour-blind readers."""

import numpy as np
import numpy.typing as npt

# Nine equidistant points of "inferno" by Nathaniel Smith and Stefan van der Walt (CC0).
_INFERNO = ("000004", "210c4a", "56106e", "89226a", "bb3754", "e35932", "f98c0a", "f9c932", "fcffa4")


def inferno() -> npt.NDArray[np.uint8]:
    """The colour table, (256, 3) RGB: row 0 for nothing (near black), row 255 for the maximum (light yellow).

    >>> inferno()[[0, 255]].tolist()
    [[0, 0, 4], [252, 255, 164]]
    """
    anchors = np.array([list(bytes.fromhex(colour)) for colour in _INFERNO], dtype=np.float64)
    places = np.linspace(0, 255, len(anchors))
    channels = [np.interp(np.arange(256), places, anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)
