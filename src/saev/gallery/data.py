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
    """A latent that gets pictures.

    Args:
        top: By `Order` its pictures, strongest first.
        heatmaps: Levels (h, w) in each picture that is shown, as shares of the latent's largest value.
        samples: Pictures from the whole range of its values.
        histogram: (bins,) tokens by value; bins as in `Gallery.bin_edges`.
        percentiles: Values by percentile, such as {50: 1.2}.
        labels: Labels of its strongest images, the most frequent first.
        patch_labels: Labels of its strongest patches, the most frequent first.
        columns: Values of what else is known of its strongest images, by column, the most frequent first.
        peaks: Labels of the strongest patch in pictures, where these are known.
        neighbours: Latents with the nearest decoder directions, and the cosines.
        coactive: Latents that fire on the same tokens, and the cosines of the indicators.
        directions: Words to which the decoder direction points, and their scores.
        mean_p: Its mean activation at each patch position, over all images, where that is known.
        is_small: Whether it has `N_SMALL` pictures at most, for want of room.
        judged: What it does on the pictures that latents are judged by.
    """

    index: int
    top: Mapping[Order, Sequence[LatentExample]]
    heatmaps: Mapping[int, Levels] = field(default_factory=dict)
    samples: Sequence[SampleGroup] = ()
    histogram: npt.NDArray[np.integer] | None = None
    percentiles: Mapping[int, float] = field(default_factory=dict)
    labels: Sequence[LabelCount] = ()
    patch_labels: Sequence[LabelCount] = ()
    columns: Mapping[str, Sequence[LabelCount]] = field(default_factory=dict)
    peaks: Mapping[int, str] = field(default_factory=dict)
    neighbours: Sequence[tuple[int, float]] = ()
    coactive: Sequence[tuple[int, float]] = ()
    directions: Sequence[tuple[str, float]] = ()
    mean_p: Floats | None = None
    is_small: bool = False
    judged: Judged | None = None

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
    """Another SAE whose gallery lies beside this one, and the latent of it that each latent here matches best.

    Args:
        folder: Name of its gallery's folder.
        title: Its name.
        matched: (s,) its latent for each latent here; -1 for none.
        cosine: (s,) cosine of the two decoder directions.
    """

    folder: str
    title: str
    matched: npt.NDArray[np.integer]
    cosine: Floats


STANDINGS: Final = ("confirmed", "rejected", "undecided", "exploratory")
"""What a test may say of a hypothesis, the clearest first; an exploratory one decides nothing."""


@dataclass(frozen=True)
class Verdict:
    """What a test says of a hypothesis on latents.

    Args:
        standing: One of `STANDINGS`.
        claim: In words.
        any: The latents, of which one is to fire.
        unless: Latents of which none may fire.
        effect: MCC with the sign of the claim.
        interval: Ends of its 95 % interval.
        p: Corrected for all hypotheses that were tested together.
        n: Pictures that it rests on.
        reason: A sentence.
        link: Address of the report, from the gallery's folder on.
        circular: Whether the labels came from a model that gave the name, or that the SAE looks into.
    """

    standing: str
    claim: str
    any: Sequence[int]
    unless: Sequence[int]
    effect: float
    interval: tuple[float, float]
    p: float
    n: int
    reason: str
    link: str | None = None
    circular: bool = False


@dataclass(frozen=True)
class Seeds:
    """In how many SAEs that differ from this one in their seed alone each latent is found again.

    Args:
        n: How many such SAEs there are.
        least: The cosine of decoder directions from which on two latents are the same.
        found: (s,) in how many of them.
        cosine: (s,) mean over them of the largest cosine with a decoder direction there.
    """

    n: int
    least: float
    found: npt.NDArray[np.integer]
    cosine: Floats


@dataclass(frozen=True)
class Gallery:
    """What a gallery says, except for its pages and pictures.

    Args:
        title: Headline of the page.
        sae_id: Tells this SAE from others, whatever their names: notes belong to it.
        facts: Short facts under the title, such as {"Model": "ViT-B-32/openai"}.
        frequency: (s,) share of tokens on which each latent fires; 0 for dead latents.
        image_frequency: (s,) share of images.
        mean_value: (s,) mean over the tokens on which it fires.
        max_value: (s,) largest value; the top of each latent's colour scale, unless `scale` says another one.
        grid: (h, w) patches of a picture.
        decoder_norm: (s,) lengths of the rows that latents decode to; None where all are 1.
        bin_edges: (bins + 1,) of the histograms of values.
        rare_below: Share of images below which a latent is rare: sorted by value or purity it comes last.
        labels: By kind the labels that stand beside latents; those of the first kind, if nobody chooses another one.
        names: Names that were found for latents.
        others: SAEs to compare with.
        metadata: What else is known of the pictures.
        masks: Labels of their patches, where there are any.
        known: What is known of the pictures that latents are judged by.
        levels: What fires in them, or in a choice of images.
        verdicts: What tests say of latents.
        interventions: What the ViT does with latents.
        half: The half of the pictures that it shows and counts, where it keeps to one.
        seeds: In how many other seeds latents are found, where there are any.
        recipe: What it was made from.
        places: Where in pictures latents fire, as far as that is known.
        alike: Gives groups of pictures that are nearly the same, among those that pages show; called at the end.
        top_ratio: (s,) largest value in a picture over the second largest one in another; 0 where there is none.
        spread: (s,) on how many pictures each latent fires, counted by strength; see `saev.gallery.figures.spread`.
        scale: (s,) what the largest level of each latent stands for, where that is the largest value on other images.
        p99: (s,) the 99th percentile of the values of each latent, on the images that the scale is of.
        families: Families of latents, where they were looked for.
    """

    title: str
    sae_id: str
    facts: Mapping[str, str]
    frequency: Floats
    image_frequency: Floats
    mean_value: Floats
    max_value: Floats
    grid: tuple[int, int]
    decoder_norm: Floats | None = None
    bin_edges: Floats = field(default_factory=lambda: np.zeros(0))
    rare_below: float = 0.0
    labels: Sequence[BestLabels] = ()
    names: Mapping[int, ShownName] = field(default_factory=dict)
    others: Sequence[OtherSae] = ()
    metadata: Sequence[Column] = ()
    masks: Masks | None = None
    known: Known | None = None
    levels: PictureLevels | None = None
    verdicts: Sequence[Verdict] = ()
    interventions: Sequence[Mapping[str, Any]] = ()
    half: Half | None = None
    seeds: Seeds | None = None
    recipe: Recipe | None = None
    places: PlaceProfile | None = None
    alike: Callable[[Sequence[int]], list[list[int]]] | None = None
    top_ratio: Floats | None = None
    spread: Floats | None = None
    scale: Floats | None = None
    p99: Floats | None = None
    families: "Families | None" = None

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
