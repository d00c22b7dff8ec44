"""Change the output of one block of a running ViT, and see what becomes of its final embedding.

Shape suffixes: b = images, t = tokens of an image, p = tokens that are replaced, d = d_model, e = width of the
embedding.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from saev.vit.backbone import Backbone

ORIGINAL, SPLICED, WITH_ERROR, ABLATED = "original", "spliced", "with_error", "ablated"

Variants = Callable[[Tensor], Mapping[str, Tensor]]
"""From the output (b, t, d) of a block to what shall take its place, by name."""


@torch.no_grad()
def spliced_embeddings(backbone: Backbone, images: Tensor, layer: int, variants: Variants) -> dict[str, Tensor]:
    """Final embeddings (b, e) of images (b, 3, h, w) for each variant of one block's output, by name.

    The blocks up to that one run once; the later ones take all variants as one batch.
    """
    names: list[str] = []

    def replace(_block: object, _inputs: object, x_btd: Tensor) -> Tensor:
        changed = variants(x_btd)
        names.extend(changed)
        return torch.cat([x.to(x_btd.dtype) for x in changed.values()])

    hook = backbone.block(layer).register_forward_hook(replace)
    try:
        embeddings = backbone.embed(images)
    finally:
        hook.remove()
    return dict(zip(names, torch.split(embeddings, len(images)), strict=True))


def standard_variants(x_btd: Tensor, positions: range, x_hat_bpd: Tensor, mean_d: Tensor) -> dict[str, Tensor]:
    """What a reconstruction costs is seen between the first and the last of these, by name.

    Args:
        x_btd: Output of a block.
        positions: The tokens that were reconstructed; all others stay as they are.
        x_hat_bpd: Their reconstructions.
        mean_d: Mean of such tokens.

    Returns:
        The output itself; with x_hat in place of x; with x_hat + (x - x_hat), which is x but for rounding and checks
        the splicing; with the mean in place of x.
    """
    x_bpd = x_btd[:, positions.start : positions.stop].float()
    return {
        ORIGINAL: x_btd,
        SPLICED: _with_tokens(x_btd, positions, x_hat_bpd),
        WITH_ERROR: _with_tokens(x_btd, positions, x_hat_bpd + (x_bpd - x_hat_bpd)),
        ABLATED: _with_tokens(x_btd, positions, mean_d.expand_as(x_bpd)),
    }


def _with_tokens(x_btd: Tensor, positions: range, new_bpd: Tensor) -> Tensor:
    changed = x_btd.clone()
    changed[:, positions.start : positions.stop] = new_bpd.to(x_btd.dtype)
    return changed
