"""What a gallery shows of an SAE."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from saev.errors import InputError

Range = tuple[float, float]
SortBy = Literal["patch", "img", "cls"]


@final
@dataclass(frozen=True)
class RenderOptions:
    """The options of `FeatureVisualizer`, described there.

    Raises:
        InputError: If a number makes no sense.
    """

    top_k: int = 128
    n_latents: int = 400
    log_freq_range: Range | None = None
    log_value_range: Range | None = None
    include_latents: tuple[int, ...] = ()
    sort_by: SortBy = "patch"
    n_images: int = 50_000
    n_picture_pages: int = 2000
    namer: str | None = None
    namer_weights: str | None = None
    vocabulary: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.top_k, self.n_images) < 1 or self.n_picture_pages < 0:
            raise InputError(
                f"top_k={self.top_k} and n_images={self.n_images} must be 1 or more, "
                f"n_picture_pages={self.n_picture_pages} 0 or more"
            )
        if self.seed < 0:
            raise InputError(f"seed={self.seed} must be 0 or more")
        if self.n_latents < -1:
            raise InputError(f"n_latents={self.n_latents} must be -1 (all) or more")
        if self.sort_by not in ("patch", "img", "cls"):
            raise InputError(f"sort_by={self.sort_by!r} must be patch, img or cls")
        for name in ("log_freq_range", "log_value_range"):
            own = getattr(self, name)
            if own is not None and not (len(own) == 2 and own[0] < own[1] and not any(map(math.isnan, own))):
                raise InputError(f"{name}={own} must be two powers of ten, the lower one first, such as (-6, -2)")
        for name in ("namer_weights", "vocabulary"):
            if self.namer is None and getattr(self, name) is not None:
                raise InputError(f"{name} has no use without a namer")

    def check_latents(self, d_sae: int) -> None:
        """See whether an SAE of this size has the latents that are asked for.

        Raises:
            InputError: If not.
        """
        unknown = [latent for latent in self.include_latents if not 0 <= latent < d_sae]
        if unknown:
            raise InputError(f"include_latents {unknown}: the SAE has latents 0 to {d_sae - 1}")
