"""From SAEs and recorded activations to galleries: pages, pictures, grids."""

from saev.gallery.data import Gallery, LatentExample, LatentPage, OtherSae, SampleGroup
from saev.gallery.grid import image_grid
from saev.gallery.options import RenderOptions
from saev.gallery.pages import Pages, Subject
from saev.gallery.render import Rendered, Source, render_galleries
from saev.gallery.write import write_gallery
from saev.pages.heatmap import overlay

__all__ = [
    "Gallery",
    "LatentExample",
    "LatentPage",
    "OtherSae",
    "Pages",
    "RenderOptions",
    "Rendered",
    "SampleGroup",
    "Source",
    "Subject",
    "image_grid",
    "overlay",
    "render_galleries",
    "write_gallery",
]
