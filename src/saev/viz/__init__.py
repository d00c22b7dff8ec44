"""Rendering of latents: arrays and pictures in, pages and grids out."""

from saev.viz.gallery import Gallery, LatentExample, LatentPage, Picture, write_gallery
from saev.viz.grid import image_grid
from saev.viz.heatmap import overlay
from saev.viz.survey import LatentSurvey, Spots

__all__ = [
    "Gallery",
    "LatentExample",
    "LatentPage",
    "LatentSurvey",
    "Picture",
    "Spots",
    "image_grid",
    "overlay",
    "write_gallery",
]
