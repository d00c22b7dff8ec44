"""Rendering of latents: arrays and pictures in, pages and grids out."""

from saev.viz.gallery import write_gallery
from saev.viz.gallery_data import Gallery, LatentExample, LatentPage, OtherSae, PatchCodes, Picture, SampleGroup
from saev.viz.grid import image_grid
from saev.viz.heatmap import overlay, quantise

__all__ = [
    "Gallery",
    "LatentExample",
    "LatentPage",
    "OtherSae",
    "PatchCodes",
    "Picture",
    "SampleGroup",
    "image_grid",
    "overlay",
    "quantise",
    "write_gallery",
]
