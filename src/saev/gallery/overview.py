"""What is read back of the overview of a gallery, or of an image set of it.

Shape suffixes: s = d_sae.
"""

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from saev.gallery.data import ShownName
from saev.gallery.recipe import Recipe
from saev.gallery.scripts import read_script
from saev.pages.embedding import data_script

OF_SAE: Final = ("verdicts", "interventions", "seeds")
"""Keys of an overview that are of the SAE, whatever images it is looked at on."""


class Overview(NamedTuple):
    """What is read back of the overview of a gallery."""

    sae_id: str  # The SAE.
    max_value: npt.NDArray[np.float32]  # (s,) largest values.
    image_frequency: npt.NDArray[np.float32]  # (s,) shares of the images on which latents fire.
    thumbnails: Mapping[int, str]  # Names of the pictures that have thumbnails, by id.
    scale: npt.NDArray[np.float32]
    """(s,) what the largest level of each stands for: its largest value in the first image set."""
    pages: Sequence[int]  # Latents that have a page, full ones first.
    p99: npt.NDArray[np.float32] | None
    """(s,) 99th percentiles of the values; None where an earlier version left them out."""
    facts: Mapping[str, str]  # What stands under the title.
    names: Mapping[int, ShownName]  # Names that were found for latents.
    of_sae: Mapping[str, Any]
    """What is known of the SAE's latents from elsewhere, by key of `OF_SAE`, as it stands in the script."""
    recipe: Recipe | None  # What it was made from; None where an earlier version left that out.


def read_overview(script: str) -> Overview:
    """Part of what `overview_script` was given.

    Raises:
        ValueError: If another program, or another version of this one, wrote it.
    """
    try:
        raw = read_script(script)
        return Overview(
            sae_id=str(raw["saeId"]),
            max_value=_read_floats(raw["maxValue"]),
            image_frequency=_read_floats(raw["imageFrequency"]),
            thumbnails={int(image): str(name) for image, name, _label, width, _height in raw["pictures"] if width > 0},
            scale=_read_floats(raw.get("scale", raw["maxValue"])),
            pages=[int(latent) for latent in (*raw["pages"], *raw.get("small", {"latents": []})["latents"])],
            p99=_read_floats(raw["p99"]) if "p99" in raw else None,
            facts={str(name): str(value) for name, value in raw["facts"]},
            names={int(latent): ShownName(name, score, more) for latent, name, score, more in raw["names"]},
            of_sae={key: raw[key] for key in OF_SAE if key in raw},
            recipe=Recipe.from_json(raw["recipe"]) if "recipe" in raw else None,
        )
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"it was written by another version: {error!r}") from error


def with_facts_of_sae(script: str, of_sae: Mapping[str, object]) -> str:
    """An overview with other things known of the SAE's latents from elsewhere, by key of `OF_SAE`.

    Raises:
        ValueError: If it is no overview.
    """
    return data_script({**read_script(script), **of_sae})


def _read_floats(text: str) -> npt.NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f4")
