"""What is said of a label of a latent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PATCHES: Final = "patches"
IMAGES: Final = "images"


@dataclass(frozen=True)
class LabelCount:
    """How often the strongest tenth of what a latent fires on has a label."""

    label: str  # The user's.
    count: int  # Its images or patches with this label.
    purity: float  # Their share of those that have any label.
    lift: float  # That share over the label's share of all images or patches.
    q: float  # The q value of so many of its images with the label, among all latents and labels of the gallery.
    precision: float | None = None
    """Average precision of the latent's largest values in images for those with the label, or a patch of it; None where
    no image has it."""
    overall: float = 0.0  # The share of all that it fires on, however weakly.
    prevalence: float = 0.0  # What average precision is by chance: the share of the images.


@dataclass(frozen=True)
class BestLabels:
    """Of one kind of labels, per latent the one that describes it best, where that is no chance."""

    kind: str  # What they are labels of: `PATCHES`, `IMAGES`, or `kind_of_column`.
    labels: Mapping[int, LabelCount]


def kind_of_column(name: str) -> str:
    """The kind of labels that a column of the user's gives: its name, unless that is the kind of other labels.

    >>> kind_of_column("site"), kind_of_column("images")
    ('site', 'images (metadata)')
    """
    return f"{name} (metadata)" if name in (PATCHES, IMAGES) else name
