"""Where a latent fires in a picture, and what makes it fire: two maps that need not agree.

Grey in the place of a block of patches, one block at a time, says how much the latent's largest code rests on it
(Zeiler and Fergus 2014, https://arxiv.org/abs/1311.2901). The SAE's selection couples latents: where a block hides
what others answer to, this one may rise.

Shape suffixes: h, w = rows and columns of patches; b = blocks that are run at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.splicing.attach import token_layout
from saev.splicing.attached import Attached
from saev.vit.backbone import Backbone

Floats = NDArray[np.float64]


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
    latents: Sequence[int],
    block: int,
    batch_size: int,
    progress: Callable[[int], object],
) -> list[Maps]:
    """Both maps of some latents on one picture.

    Args:
        inside: The SAE inside the ViT.
        backbone: The ViT.
        image: (3, H, W), prepared for it.
        latents: The latents.
        block: Patches on a side of what is grey at once.
        batch_size: Images of a forward pass.
        progress: Is called with the number of passes that are done.
    """
    rows, columns = backbone.grid
    codes_ps = inside.codes(image[None])[0]
    value_l = codes_ps[:, list(latents)].amax(0)
    corners = [(row, column) for row in range(0, rows, block) for column in range(0, columns, block)]
    drop_lhw = torch.zeros(len(latents), rows, columns)
    for start in range(0, len(corners), batch_size):
        some = corners[start : start + batch_size]
        images = torch.stack([_grey(image, backbone.grid, corner, block) for corner in some])
        drop_bl = value_l - inside.codes(images)[..., list(latents)].amax(1)
        for (row, column), drop_l in zip(some, drop_bl.float().cpu(), strict=True):
            drop_lhw[:, row : row + block, column : column + block] = drop_l[:, None, None]
        progress(len(some))
    fires = _on_patches(inside, backbone, codes_ps[:, list(latents)])
    return [
        Maps(
            latent, float(value_l[number]), None if fires is None else fires[number], drop_lhw[number].double().numpy()
        )
        for number, latent in enumerate(latents)
    ]


def _grey(image: Tensor, grid: tuple[int, int], corner: tuple[int, int], block: int) -> Tensor:
    """The picture with a block of patches at 0, the mean colour of the ViT's preprocessing."""
    height, width = image.shape[1] // grid[0], image.shape[2] // grid[1]
    row, column = corner
    found = image.clone()
    found[:, row * height : (row + block) * height, column * width : (column + block) * width] = 0
    return found


def _on_patches(inside: Attached, backbone: Backbone, f_pl: Tensor) -> list[Floats] | None:
    """Codes of the patches, by latent (h, w)."""
    patches = token_layout(backbone).positions("content")
    first = 0 if inside.positions is None else inside.positions.start
    own = f_pl[max(0, patches.start - first) : max(0, patches.stop - first)]
    if len(own) != len(patches):
        return None
    return list(own.T.reshape(-1, *backbone.grid).double().cpu().numpy())
