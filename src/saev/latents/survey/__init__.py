"""The survey of an SAE's latents: everything that is said of them, from one bounded pass over images."""

from saev.latents.survey.by_latent import LatentCodes, Pairs
from saev.latents.survey.enrichment import Enrichment, QValues
from saev.latents.survey.image_values import ImageValues, Ranking
from saev.latents.survey.kept_images import ImageSample, TopImages, quantile_groups
from saev.latents.survey.labels import LabelCounts
from saev.latents.survey.memory import tables_bytes, update_bytes
from saev.latents.survey.over_images import merge_into_first, survey_images
from saev.latents.survey.place_profile import FLAGS, PlaceProfile
from saev.latents.survey.places import PlaceSums
from saev.latents.survey.strongest import LEAST_IMAGES, Strongest, StrongPatches, strongest_images
from saev.latents.survey.survey import ORDERS, LatentSurvey, Order
from saev.latents.survey.token_sample import TokenSample
from saev.latents.survey.values import EDGES, PERCENTILES, Moments, ValueHistogram

__all__ = [
    "EDGES",
    "FLAGS",
    "LEAST_IMAGES",
    "ORDERS",
    "PERCENTILES",
    "Enrichment",
    "ImageSample",
    "ImageValues",
    "LabelCounts",
    "LatentCodes",
    "LatentSurvey",
    "Moments",
    "Order",
    "Pairs",
    "PlaceProfile",
    "PlaceSums",
    "QValues",
    "Ranking",
    "StrongPatches",
    "Strongest",
    "TokenSample",
    "TopImages",
    "ValueHistogram",
    "merge_into_first",
    "quantile_groups",
    "strongest_images",
    "survey_images",
    "tables_bytes",
    "update_bytes",
]
