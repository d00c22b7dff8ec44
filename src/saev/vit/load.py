"""Build a backbone by family and name."""

import torch

from saev.errors import InputError
from saev.vit.backbone import BACKBONES, Backbone, ModelChoice
from saev.vit.from_open_clip import OpenClipBackbone  # noqa: F401 - makes its families known
from saev.vit.from_timm import TimmBackbone  # noqa: F401 - makes its families known
from saev.vit.preprocess import MAX_SIDE
from saev.vit.refusals import MODEL, Options, UnknownModelError


def load_backbone(
    family: str,
    ckpt: str,
    weights: str | None = None,
    image_size: int | tuple[int, int] | None = None,
    options: Options = MODEL,
) -> Backbone:
    """Build a model by its family and name and load its weights.

    Args:
        family: clip and siglip are built by open_clip; dinov2, dinov3 and timm by timm; or the name of a backbone that
            was registered.
        ckpt: ``ARCH/TAG`` of open_clip, the name of a timm model, ``hf-hub:...`` for both, or ``saev-demo/scenes``, a
            tiny CLIP of scenes that comes with saev.
        weights: A .safetensors or .pt file, ``random`` (the same ones each time), or None: the network.
        image_size: Pixels, one number or (height, width); None is the model's own.
        options: What the refusals call all this.

    Raises:
        InputError: Unknown family, model or tag; no plain ViT; weights that do not fit; impossible size.

    >>> backbone = load_backbone("timm", "test_vit", weights="random")
    >>> backbone.n_layers, backbone.d_model, backbone.grid, backbone.preprocessing.image_size
    (6, 64, (10, 10), (160, 160))
    >>> with torch.no_grad():
    ...     (tokens,) = backbone(torch.randn(2, 3, 160, 160), [4]).values()  # CLS, then the patches row by row
    >>> tokens.shape
    torch.Size([2, 101, 64])
    """
    kind = BACKBONES.named(family, options.family)
    size = (image_size, image_size) if isinstance(image_size, int) else image_size
    if size is not None and (len(size) != 2 or not 1 <= min(size) <= max(size) <= MAX_SIDE):
        raise InputError(f"{options.image_size} {image_size} must be a number, or height and width, of 1 to {MAX_SIDE}")
    # All towers draw their first weights from one seed, and the caller's random numbers stay what they were.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        try:
            return kind.load(ModelChoice(family, ckpt, weights, size, options))
        except UnknownModelError as error:
            others = [name for name, other in BACKBONES.items() if other.has_model(name, ckpt)]
            if others and family not in others:
                raise InputError(
                    f"{options.ckpt} {ckpt} is no model of the family {family}: give {options.family} "
                    f"{' or '.join(others)}"
                ) from error
            raise
