"""What is said of a label of a latent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PATCHES: Final = "patches"
IMAGES: Final = "images"


@dataclass(frozen=True)
class LabelCount:
    """How often the strongest tenth of what a latent fires on has a label.

    Args:
        label: The user's.
        count: Its images or patches with this label.
        purity: Their share of those that have any label.
        lift: That share over the label's share of all images or patches.
        q: The q value of so many of its images with the label, among all latents and labels of the gallery.
        precision: Average precision of the latent's largest values in images for those with the label, or a patch of
            it; None where no image has it.
        overall: The share of all that it fires on, however weakly.
        prevalence: What average precision is by chance: the share of the images.
    """

    label: str
    count: int
    purity: float
    lift: float
    q: float
    precision: float | None = None
    overall: float = 0.0
    prevalence: float = 0.0


@dataclass(frozen=True)
class BestLabels:
    """Of one kind of labels, per latent the one that describes it best, where that is no chance.

    Args:
        kind: What they are labels of: `PATCHES`, `IMAGES`, or `kind_of_column`.
    """

    kind: str
    labels: Mapping[int, LabelCount]


def kind_of_column(name: str) -> str:
    """The kind of labels that a column of the user's gives: its name, unless that is the kind of other labels.

    >>> kind_of_column("site"), kind_of_column("images")
    ('site', 'images (metadata)')
    """
    return f"{name} (metadata)" if name in (PATCHES, IMAGES) else name
