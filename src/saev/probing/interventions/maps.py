"""Where a latent fires in a picture, and what makes it fire: two maps that need not agree.

Grey in the place of a block of patches, one block at a time, says how much the latent's largest code rests on it
(Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901). The SAE's selection couples latents: where a block hides
what others answer to, this one may rise.

Shape suffixes: h, w = rows and columns of patches; b = blocks that are run at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from saev.probing.statistics.arrays import Floats
from saev.splicing.attach import token_layout
from saev.splicing.attached import Attached
from saev.vit.backbone import Backbone


@final
@dataclass(frozen=True)
class Maps:
    """The maps of one latent on one picture."""

    latent: int  # The latent.
    value: float  # Its largest code on the tokens that the SAE takes.
    fires_hw: Floats | None  # Its codes on the patches; None where the SAE takes none.
    drop_hw: Floats  # How much its largest code falls when the block of a patch is grey; below 0 where it rises.


def maps_of(
    inside: Attached,
    backbone: Backbone,
    image: Tensor,
    latent: int,
    block: int,
    batch_size: int,
    progress: Callable[[int], object],
) -> Maps:
    """Both maps of a latent on one picture.

    Args:
        image: (3, H, W), prepared for it.
        latent: The latent.
        block: Patches on a side of what is grey at once.
        batch_size: Images of a forward pass.
        progress: Is called with the number of passes that are done.
    """
    rows, columns = backbone.grid
    code_p = inside.codes(image[None])[0][:, latent]
    value = code_p.amax()
    corners = [(row, column) for row in range(0, rows, block) for column in range(0, columns, block)]
    drop_hw = torch.zeros(rows, columns)
    for start in range(0, len(corners), batch_size):
        some = corners[start : start + batch_size]
        images = torch.stack([_grey(image, backbone.grid, corner, block) for corner in some])
        drop_b = value - inside.codes(images)[..., latent].amax(1)
        for (row, column), drop in zip(some, drop_b.float().cpu(), strict=True):
            drop_hw[row : row + block, column : column + block] = drop
        progress(len(some))
    return Maps(latent, float(value), _on_patches(inside, backbone, code_p), drop_hw.double().numpy())


def _grey(image: Tensor, grid: tuple[int, int], corner: tuple[int, int], block: int) -> Tensor:
    """The picture with a block of patches at 0, the mean colour of the ViT's preprocessing."""
    height, width = image.shape[1] // grid[0], image.shape[2] // grid[1]
    row, column = corner
    found = image.clone()
    found[:, row * height : (row + block) * height, column * width : (column + block) * width] = 0
    return found


def _on_patches(inside: Attached, backbone: Backbone, code_p: Tensor) -> Floats | None:
    """Codes of the patches (h, w)."""
    patches = token_layout(backbone).positions("content")
    first = 0 if inside.positions is None else inside.positions.start
    own = code_p[max(0, patches.start - first) : max(0, patches.stop - first)]
    return own.reshape(backbone.grid).double().cpu().numpy() if len(own) == len(patches) else None
