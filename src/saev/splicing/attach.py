"""Where an SAE goes in a model."""

import difflib
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.shards.format.layout import TokenLayout
from saev.splicing.attached import Attached
from saev.vit.backbone import Backbone


def attach(
    model: nn.Module,
    sae: SparseAutoencoder,
    layer: int | str,
    *,
    tokens: str | range | None = None,
    forward: Callable[[Tensor], Any] | None = None,
) -> Attached:
    """Put an SAE at a layer of a model, for codes, splicing and edits.

    Args:
        model: A backbone of saev, or any module with a submodule that gives (images, tokens, d), alone or as the first
            entry of a tuple.
        sae: The SAE, whose d_in is d.
        layer: Of a backbone the number of a block, negative ones from the end; of a module the name of the submodule,
            such as "encoder.layers.10".
        tokens: Which tokens the SAE takes: a range of positions; of a backbone "content" (patches, the default), "cls",
            "registers" or "all"; of a module all by default.
        forward: A pass through the model with images (b, 3, h, w), by default a backbone's `embed` or the module's own
            `forward`. For example ``lambda images: clip.get_image_features(pixel_values=images)``.

    Raises:
        InputError: If the model has no such layer, or one of another width, or no such tokens.

    >>> import torch
    >>> from saev import Edit, TopK
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 4))
    >>> with attach(model, TopK(16, d_sae=32, k=2).eval(), "0") as inside:
    ...     f_bps = inside.codes(torch.randn(3, 5, 8))
    ...     output = inside.edited(torch.randn(3, 5, 8), [Edit(7, "add", 2.0, tokens=[0])])
    >>> f_bps.shape, output.shape
    (torch.Size([3, 5, 32]), torch.Size([3, 5, 4]))
    """
    if not isinstance(sae, SparseAutoencoder):
        raise InputError(f"the second argument is {type(sae).__name__}, not an SAE: give the model, the SAE, the layer")
    if isinstance(tokens, range) and (not tokens or tokens.step != 1 or tokens.start < 0):
        raise InputError(f"tokens={tokens} must be one position or more, ascending by 1")
    if not isinstance(tokens, str | range | None):
        raise InputError(f"tokens={tokens!r} must be a range of positions, such as range(1, 197)")
    if isinstance(model, Backbone):
        return _in_backbone(model, sae, layer, tokens, forward)
    modules = dict(model.named_modules())
    if not isinstance(layer, str) or layer not in modules:
        alike = difflib.get_close_matches(str(layer), modules) or [name for name in modules if name][:3]
        raise InputError(f"{type(model).__name__} has no layer {layer!r}, but {', '.join(alike)}: see named_modules()")
    if isinstance(tokens, str) and tokens != "all":
        raise InputError(f"tokens={tokens!r}: which those are is known of backbones only, give a range of positions")
    run = model if forward is None else forward
    return Attached(sae, modules[layer], f"layer {layer!r}", tokens if isinstance(tokens, range) else None, run, run)


def token_layout(backbone: Backbone) -> TokenLayout:
    """The tokens that a backbone makes of an image."""
    return TokenLayout(backbone.cls, backbone.n_registers, backbone.grid)


def _in_backbone(
    backbone: Backbone,
    sae: SparseAutoencoder,
    layer: int | str,
    tokens: str | range | None,
    forward: Callable[[Tensor], Any] | None,
) -> Attached:
    if not isinstance(layer, int):
        raise InputError(
            f"layer {layer!r}: the layers of {backbone.ckpt} are numbers from 0 to {backbone.n_layers - 1}"
        )
    if sae.d_in != backbone.d_model:
        raise InputError(f"the SAE takes activations of width {sae.d_in}, {backbone.ckpt} has {backbone.d_model}")
    (number,) = backbone.resolve_layers([layer])
    kind: Any = tokens or "content"
    positions = tokens if isinstance(tokens, range) else token_layout(backbone).positions(kind)

    def prepared(images: Tensor) -> Tensor:
        weight = next(backbone.parameters())
        return images.to(weight.device, weight.dtype)

    whole = backbone.embed if forward is None else forward
    return Attached(
        sae,
        backbone.block(number),
        f"layer {number} of {backbone.ckpt}",
        positions,
        lambda images: whole(prepared(images)),
        lambda images: backbone(prepared(images), [number]),
    )
