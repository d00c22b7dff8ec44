"""Rendering of latents: arrays and pictures in, pages and grids out."""

from saev.viz.gallery import write_gallery
from saev.viz.gallery_data import Gallery, LatentExample, LatentPage, Picture
from saev.viz.grid import image_grid
from saev.viz.heatmap import overlay
from saev.viz.survey import LatentSurvey
from saev.viz.topk import TopImages

__all__ = [
    "Gallery",
    "LatentExample",
    "LatentPage",
    "LatentSurvey",
    "Picture",
    "TopImages",
    "image_grid",
    "overlay",
    "write_gallery",
]
