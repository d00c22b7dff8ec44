"""What a gallery shows of an SAE."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from saev.errors import InputError
from saev.latents.survey import ORDERS, Order

Range = tuple[float, float]
SET_NAME: Final = re.compile(r"\w[\w.+-]{0,99}")
"""Names that image sets have; they are folders of a gallery."""


@final
@dataclass(frozen=True)
class RenderOptions:
    """What a gallery shows: the options of `FeatureVisualizer` and of `saev.render`.

    Args:
        top_k: Images shown for a latent, in each order.
        n_latents: Latents that get a page, a random choice among those that fire; -1 for all that fire.
        max_mb: Size of a gallery in MB, of 1,000,000 bytes. Where full pages would take more, some latents get small
            ones: nine pictures, and all numbers. Where these would, some have numbers alone.
        log_freq_range: Only latents whose log10 frequency lies between these.
        log_value_range: Only latents whose log10 mean value lies between these.
        include_latents: Latents that get a page in any case, and a full one first.
        sort_by: Which order of pictures comes first: by the strongest patch (patch), by the sum over the patches (img),
            or by the CLS token (cls), where it is among the tokens.
        n_images: Upper bound of the images looked at, a random choice.
        n_picture_pages: Upper bound of the pictures in which one can see what fires where, a random choice.
        namer: CLIP that finds names for latents, such as ViT-B-32/openai. By default none are looked for.
        namer_weights: Its weights from a .safetensors or .pt file instead of the network.
        vocabulary: File of the words that may become names, one a line; by default a list that comes with saev.
        image_set: Name of these images in the gallery; by default what they are.
        seed: Fixes the random choices.

    Raises:
        InputError: If a number makes no sense.
    """

    top_k: int = 128
    n_latents: int = -1
    max_mb: int = 400
    log_freq_range: Range | None = None
    log_value_range: Range | None = None
    include_latents: list[int] | None = None
    sort_by: Order = "patch"
    n_images: int = 50_000
    n_picture_pages: int = 2000
    namer: str | None = None
    namer_weights: str | None = None
    vocabulary: Path | None = None
    image_set: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.top_k, self.n_images) < 1 or self.n_picture_pages < 0:
            raise InputError(
                f"top_k={self.top_k} and n_images={self.n_images} must be 1 or more, "
                f"n_picture_pages={self.n_picture_pages} 0 or more"
            )
        if self.seed < 0:
            raise InputError(f"seed={self.seed} must be 0 or more")
        if self.max_mb < 1:
            raise InputError(f"max_mb={self.max_mb} must be 1 or more")
        if self.n_latents < -1:
            raise InputError(f"n_latents={self.n_latents} must be -1 (all) or more")
        if self.image_set is not None and not SET_NAME.fullmatch(self.image_set):
            raise InputError(
                f"image_set={self.image_set!r} must be a name of up to 100 letters, digits, '_', '.', '+' or '-'"
            )
        if self.sort_by not in ORDERS:
            raise InputError(f"sort_by={self.sort_by!r} must be one of {', '.join(ORDERS)}")
        for name in ("log_freq_range", "log_value_range"):
            own = getattr(self, name)
            if own is not None and not (len(own) == 2 and own[0] < own[1] and not any(map(math.isnan, own))):
                raise InputError(f"{name}={own} must be two powers of ten, the lower one first, such as (-6, -2)")
        for name in ("namer_weights", "vocabulary"):
            if self.namer is None and getattr(self, name) is not None:
                raise InputError(f"{name} has no use without a namer")

    def check_latents(self, d_sae: int) -> None:
        """Raise InputError unless an SAE of this size has the latents that are asked for."""
        unknown = [latent for latent in self.include_latents or () if not 0 <= latent < d_sae]
        if unknown:
            raise InputError(f"include_latents {unknown}: the SAE has latents 0 to {d_sae - 1}")
