"""What a gallery shows, as plain arrays and pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image


@dataclass(frozen=True)
class Picture:
    """A picture as the model saw it; `name` and `label` are the user's and only ever shown as text."""

    image_id: int
    name: str
    label: str | None
    view: Image.Image


@dataclass(frozen=True)
class LatentExample:
    """One picture on which a latent fires: its value there and its value in every patch, (h, w)."""

    image_id: int
    value: float
    patches: npt.NDArray[np.floating]


@dataclass(frozen=True)
class LatentPage:
    """A latent that gets pictures, its examples in the order in which they are shown."""

    index: int
    examples: Sequence[LatentExample]


@dataclass(frozen=True)
class Gallery:
    """What a gallery says, except for its pictures.

    Args:
        title: headline of the page.
        facts: short facts under it, such as {"Model": "ViT-B-32/openai"}.
        frequency: (d_sae,) share of tokens on which each latent fires; 0 for dead latents.
        mean_value: (d_sae,) mean over the tokens on which it fires.
        max_value: (d_sae,) largest value; the top of each latent's colour scale.
        pages: the latents that get pictures, each at most once.
        grid: (h, w) patches of a picture.
    """

    title: str
    facts: dict[str, str]
    frequency: npt.NDArray[np.floating]
    mean_value: npt.NDArray[np.floating]
    max_value: npt.NDArray[np.floating]
    pages: Sequence[LatentPage]
    grid: tuple[int, int]

    def __post_init__(self) -> None:
        columns = (self.frequency, self.mean_value, self.max_value)
        for column in columns:
            assert column.shape == (len(self.frequency),), f"{column.shape} is not ({len(self.frequency)},)"
            assert np.isfinite(column).all(), "the numbers of a latent must be finite"
            assert (column[self.frequency > 0] > 0).all(), "a latent that fires has values above zero"
        indices = [page.index for page in self.pages]
        assert len(set(indices)) == len(indices), "a latent has two pages"
        assert all(0 <= index < len(self.frequency) for index in indices), "a page of no latent"
        for page in self.pages:
            shapes = {example.patches.shape for example in page.examples}
            assert shapes <= {self.grid}, f"patches {shapes} of latent {page.index} are not {self.grid}"
