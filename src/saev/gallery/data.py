"""What a gallery shows, as plain arrays and pictures.

Shape suffixes: s = d_sae, (h, w) = the grid of patches.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from saev.gallery.by_picture import Masks, PictureLevels
from saev.gallery.judged import Judged, Known
from saev.gallery.label_counts import BestLabels, LabelCount
from saev.gallery.recipe import Recipe
from saev.latents.half import Half
from saev.latents.heatmaps import Levels
from saev.latents.metadata import Column
from saev.latents.survey import ORDERS, Order, PlaceProfile

if TYPE_CHECKING:
    from saev.gallery.families import Families  # which imports labels, and these what is here

Floats = npt.NDArray[np.floating]
ORDER_NAMES = dict(zip(ORDERS, ("Strongest patch", "Sum over patches", "CLS token"), strict=True))
"""What a page calls the ways to order pictures."""
N_SMALL: Final = 9
"""Pictures on a small page."""


@dataclass(frozen=True)
class LatentExample:
    """One picture on which a latent fires, and its value there."""

    image_id: int
    value: float


@dataclass(frozen=True)
class SampleGroup:
    """Pictures drawn at random among those whose values lie in a range of quantiles, such as (0.2, 0.4)."""

    quantiles: tuple[float, float]
    examples: Sequence[LatentExample]


@dataclass(frozen=True)
class ShownName:
    """A name that was found for a latent, with its score and the names that came next."""

    name: str
    score: float
    runners_up: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class LatentPage:
    """A latent that gets pictures."""

    index: int
    top: Mapping[Order, Sequence[LatentExample]]  # By `Order` its pictures, strongest first.
    heatmaps: Mapping[int, Levels] = field(default_factory=dict)
    """Levels (h, w) in each picture that is shown, as shares of the latent's largest value."""
    samples: Sequence[SampleGroup] = ()  # Pictures from the whole range of its values.
    histogram: npt.NDArray[np.integer] | None = None  # (bins,) tokens by value; bins as in `Gallery.bin_edges`.
    percentiles: Mapping[int, float] = field(default_factory=dict)  # Values by percentile, such as {50: 1.2}.
    labels: Sequence[LabelCount] = ()  # Labels of its strongest images, the most frequent first.
    patch_labels: Sequence[LabelCount] = ()  # Labels of its strongest patches, the most frequent first.
    columns: Mapping[str, Sequence[LabelCount]] = field(default_factory=dict)
    """Values of what else is known of its strongest images, by column, the most frequent first."""
    peaks: Mapping[int, str] = field(default_factory=dict)
    """Labels of the strongest patch in pictures, where these are known."""
    neighbours: Sequence[tuple[int, float]] = ()  # Latents with the nearest decoder directions, and the cosines.
    coactive: Sequence[tuple[int, float]] = ()
    """Latents that fire on the same tokens, and the cosines of the indicators."""
    directions: Sequence[tuple[str, float]] = ()  # Words to which the decoder direction points, and their scores.
    mean_p: Floats | None = None  # Its mean activation at each patch position, over all images, where that is known.
    is_small: bool = False  # Whether it has `N_SMALL` pictures at most, for want of room.
    judged: Judged | None = None  # What it does on the pictures that latents are judged by.

    @property
    def best(self) -> Sequence[LatentExample]:
        """Its pictures in the order that comes first."""
        return next(iter(self.top.values()), ())

    @property
    def shown(self) -> set[int]:
        """Ids of all its pictures."""
        lists = [*self.top.values(), *(group.examples for group in self.samples)]
        judged: frozenset[int] = frozenset() if self.judged is None else self.judged.shown | self.judged.near
        return {example.image_id for examples in lists for example in examples} | judged

    def small(self) -> "LatentPage":
        """The same with its first pictures in the first order alone; its numbers stay."""
        top = {order: examples[:N_SMALL] for order, examples in islice(self.top.items(), 1)}
        kept = {example.image_id for examples in top.values() for example in examples}
        maps = {image: levels for image, levels in self.heatmaps.items() if image in kept}
        return replace(self, top=top, heatmaps=maps, samples=(), judged=None, is_small=True)


@dataclass(frozen=True)
class OtherSae:
    """Another SAE whose gallery lies beside this one, and the latent of it that each latent here matches best."""

    folder: str  # Name of its gallery's folder.
    title: str  # Its name.
    matched: npt.NDArray[np.integer]  # (s,) its latent for each latent here; -1 for none.
    cosine: Floats  # (s,) cosine of the two decoder directions.


STANDINGS: Final = ("confirmed", "rejected", "undecided", "exploratory")
"""What a test may say of a hypothesis, the clearest first; an exploratory one decides nothing."""


@dataclass(frozen=True)
class Verdict:
    """What a test says of a hypothesis on latents."""

    standing: str  # One of `STANDINGS`.
    claim: str  # In words.
    any: Sequence[int]  # The latents, of which one is to fire.
    unless: Sequence[int]  # Latents of which none may fire.
    effect: float  # MCC with the sign of the claim.
    interval: tuple[float, float]  # Ends of its 95 % interval.
    p: float  # Corrected for all hypotheses that were tested together.
    n: int  # Pictures that it rests on.
    reason: str  # A sentence.
    link: str | None = None  # Address of the report, from the gallery's folder on.
    circular: bool = False  # Whether the labels came from a model that gave the name, or that the SAE looks into.


@dataclass(frozen=True)
class Seeds:
    """In how many SAEs that differ from this one in their seed alone each latent is found again."""

    n: int  # How many such SAEs there are.
    least: float  # The cosine of decoder directions from which on two latents are the same.
    found: npt.NDArray[np.integer]  # (s,) in how many of them.
    cosine: Floats  # (s,) mean over them of the largest cosine with a decoder direction there.


@dataclass(frozen=True)
class Gallery:
    """What a gallery says, except for its pages and pictures."""

    title: str  # Headline of the page.
    sae_id: str  # Tells this SAE from others, whatever their names: notes belong to it.
    facts: Mapping[str, str]  # Short facts under the title, such as {"Model": "ViT-B-32/openai"}.
    frequency: Floats  # (s,) share of tokens on which each latent fires; 0 for dead latents.
    image_frequency: Floats  # (s,) share of images.
    mean_value: Floats  # (s,) mean over the tokens on which it fires.
    max_value: Floats  # (s,) largest value; the top of each latent's colour scale, unless `scale` says another one.
    grid: tuple[int, int]  # (h, w) patches of a picture.
    decoder_norm: Floats | None = None  # (s,) lengths of the rows that latents decode to; None where all are 1.
    bin_edges: Floats = field(default_factory=lambda: np.zeros(0))  # (bins + 1,) of the histograms of values.
    rare_below: float = 0.0  # Share of images below which a latent is rare: sorted by value or purity it comes last.
    labels: Sequence[BestLabels] = ()
    """By kind the labels that stand beside latents; those of the first kind, if nobody chooses another one."""
    names: Mapping[int, ShownName] = field(default_factory=dict)  # Names that were found for latents.
    others: Sequence[OtherSae] = ()  # SAEs to compare with.
    metadata: Sequence[Column] = ()  # What else is known of the pictures.
    masks: Masks | None = None  # Labels of their patches, where there are any.
    known: Known | None = None  # What is known of the pictures that latents are judged by.
    levels: PictureLevels | None = None  # What fires in them, or in a choice of images.
    verdicts: Sequence[Verdict] = ()  # What tests say of latents.
    interventions: Sequence[Mapping[str, Any]] = ()  # What the ViT does with latents.
    half: Half | None = None  # The half of the pictures that it shows and counts, where it keeps to one.
    seeds: Seeds | None = None  # In how many other seeds latents are found, where there are any.
    recipe: Recipe | None = None  # What it was made from.
    places: PlaceProfile | None = None  # Where in pictures latents fire, as far as that is known.
    alike: Callable[[Sequence[int]], list[list[int]]] | None = None
    """Gives groups of pictures that are nearly the same, among those that pages show; called at the end."""
    top_ratio: Floats | None = None
    """(s,) largest value in a picture over the second largest one in another; 0 where there is none."""
    spread: Floats | None = None
    """(s,) on how many pictures each latent fires, counted by strength; see `saev.gallery.figures.spread`."""
    scale: Floats | None = None
    """(s,) what the largest level of each latent stands for, where that is the largest value on other images."""
    p99: Floats | None = None
    """(s,) the 99th percentile of the values of each latent, on the images that the scale is of."""
    families: "Families | None" = None  # Families of latents, where they were looked for.

    def __post_init__(self) -> None:
        for column in (self.frequency, self.image_frequency, self.mean_value, self.max_value):
            assert column.shape == (self.d_sae,), f"{column.shape} is not ({self.d_sae},)"
            assert np.isfinite(column).all(), "the numbers of a latent must be finite"
            assert (column[self.frequency > 0] > 0).all(), "a latent that fires has values above zero"
        named = [*self.names, *(latent for one in self.labels for latent in one.labels)]
        assert all(0 <= latent < self.d_sae for latent in named), "a name of no latent"
        assert self.seeds is None or self.seeds.found.shape == (self.d_sae,), "seeds of all latents"
        for other in self.others:
            assert len(other.matched) == len(other.cosine) == self.d_sae, f"matches of {other.title}"

    @property
    def d_sae(self) -> int:
        """Number of latents."""
        return len(self.frequency)
