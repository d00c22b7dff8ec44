"""What TensorBoard shows of the latents of an SAE."""

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from saev.gallery.data import LatentPage
from saev.gallery.grid import image_grid
from saev.gallery.pareto import pixels
from saev.gallery.render import Rendered
from saev.gallery.scatter_plot import scatter_plot
from saev.latents.pictures import RecordedPictures
from saev.pages.heatmap import overlay

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

SPRITE = 48  # Pixels of the side of a thumbnail in the projector.
N_PICTURES = 16
N_COLUMNS = 4
N_PROJECTED = 512  # Latents in the projector.


def show_latents(
    writer: "SummaryWriter", rendered: Rendered, pictures: RecordedPictures, n_latents: int, step: int
) -> None:
    """Add image grids of some latents, a scatter plot and histograms of all, and the projector of those with pages."""
    gallery = rendered.gallery
    for page in rendered.pages.first(n_latents, N_PICTURES):
        views = _overlays(page, pictures)
        if views:
            grid = np.asarray(image_grid(views, n_columns=N_COLUMNS))
            writer.add_image(f"latents/{page.index}", grid, step, dataformats="HWC")
    plot = scatter_plot(gallery.frequency, gallery.mean_value, gallery.title)
    writer.add_image("latents/scatter", pixels(plot), step, dataformats="HWC")
    alive = gallery.frequency > 0
    if alive.any():
        writer.add_histogram("latents/log10_frequency", np.log10(gallery.frequency[alive]), step)
        writer.add_histogram("latents/log10_mean_value", np.log10(gallery.mean_value[alive]), step)
    if len(rendered.pages):
        _show_projector(writer, rendered, pictures, step)


def _overlays(page: LatentPage, pictures: RecordedPictures) -> list[Image.Image]:
    shown = page.best[:N_PICTURES]
    views = ((pictures[example.image_id].view, page.heatmaps[example.image_id]) for example in shown)
    return [overlay(view, levels.astype(np.float32), vmax=255) for view, levels in views if view is not None]


def _show_projector(writer: "SummaryWriter", rendered: Rendered, pictures: RecordedPictures, step: int) -> None:
    gallery = rendered.gallery
    pages = list(islice(rendered.pages.drafts(), N_PROJECTED))
    latents = [page.index for page in pages]
    labels = gallery.labels[0].labels if gallery.labels else {}
    rows = [
        [
            str(latent),
            gallery.names[latent].name if latent in gallery.names else "",
            labels[latent].label if latent in labels else "",
            f"{gallery.frequency[latent]:.3g}",
        ]
        for latent in latents
    ]
    # The file of metadata is a table: what would end a cell early becomes a space.
    clean = [[" ".join(cell.split()) for cell in row] for row in rows]
    writer.add_embedding(
        rendered.decoder_sd[latents],
        metadata=clean,
        metadata_header=["latent", "name", "label", "frequency"],
        label_img=torch.stack([_sprite(page, pictures) for page in pages]),
        global_step=step,
        tag="decoder",
    )


def _sprite(page: LatentPage, pictures: RecordedPictures) -> Tensor:
    """(3, SPRITE, SPRITE) from 0 to 1: the top picture, grey where there is none."""
    view = pictures[page.best[0].image_id].view if page.best else None
    if view is None:
        return torch.full((3, SPRITE, SPRITE), 0.5)
    small = np.array(view.convert("RGB").resize((SPRITE, SPRITE)), dtype=np.float32)
    return torch.from_numpy(small).permute(2, 0, 1) / 255
