"""The survey of an SAE's latents: everything that is said of them, from one bounded pass over images."""

from saev.viz.survey.by_latent import LatentCodes, Pairs, Spots
from saev.viz.survey.histogram import EDGES, PERCENTILES, ValueHistogram
from saev.viz.survey.image_sample import ImageSample, quantile_groups
from saev.viz.survey.labels import LabelCounts, TopLabels
from saev.viz.survey.memory import memory_bytes
from saev.viz.survey.moments import Moments
from saev.viz.survey.neighbours import Neighbours, nearest_decoders
from saev.viz.survey.sparse import SparseCodes, present
from saev.viz.survey.survey import LatentSurvey, Order
from saev.viz.survey.token_sample import TokenSample
from saev.viz.survey.top_images import TopImages

__all__ = [
    "EDGES",
    "PERCENTILES",
    "ImageSample",
    "LabelCounts",
    "LatentCodes",
    "LatentSurvey",
    "Moments",
    "Neighbours",
    "Order",
    "Pairs",
    "SparseCodes",
    "Spots",
    "TokenSample",
    "TopImages",
    "TopLabels",
    "ValueHistogram",
    "memory_bytes",
    "nearest_decoders",
    "present",
    "quantile_groups",
]
