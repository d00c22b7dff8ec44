"""The data of a gallery as classic scripts, the only form in which a page from the file system gets data.

A script is one assignment of one JSON value. Arrays stand in it as base64: little-endian float32 for the
numbers of the latents, uint8 shares of the latent's maximum for patch values. JSON is pure ASCII without `<`,
so that neither `</script>` nor JavaScript's line separators nor broken file names can end anything early.
"""

import base64
import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from saev.viz.gallery_data import Gallery, LatentExample, LatentPage
from saev.viz.heatmap import overlay_table, quantise


class PictureEntry(NamedTuple):
    """What a page says of a picture whose thumbnail, `size` = (width, height), is in the gallery."""

    name: str
    label: str | None
    size: tuple[int, int]


def overview_script(gallery: Gallery) -> str:
    """Everything that the overview needs before a latent is looked at."""
    overview = {
        "title": gallery.title,
        "facts": list(gallery.facts.items()),
        "grid": gallery.grid,
        "pages": [page.index for page in gallery.pages],
        "frequency": _floats(gallery.frequency),
        "meanValue": _floats(gallery.mean_value),
        "maxValue": _floats(gallery.max_value),
        "colours": _bytes(overlay_table()),
    }
    return f"self.saevOverview = {_json(overview)};\n"


def latent_script(page: LatentPage, max_value: float, pictures: Mapping[int, PictureEntry]) -> str:
    """The examples of one latent; those whose picture did not come have no size."""
    examples = [_example(example, max_value, pictures.get(example.image_id)) for example in page.examples]
    return f"(self.saevLatents ??= {{}})[{page.index}] = {_json(examples)};\n"


def _example(example: LatentExample, max_value: float, picture: PictureEntry | None) -> dict[str, object]:
    return {
        "image": example.image_id,
        "value": example.value,
        "patches": _bytes(quantise(example.patches, max_value)),
        "name": picture.name if picture else f"picture {example.image_id}",
        "label": picture.label if picture else None,
        "size": picture.size if picture else None,
    }


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _floats(values: npt.NDArray[np.floating]) -> str:
    return _bytes(values.astype("<f4"))


def _bytes(values: npt.NDArray[np.generic]) -> str:
    return base64.b64encode(values.tobytes(order="C")).decode("ascii")
