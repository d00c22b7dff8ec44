"""Statistics and top images of all latents, gathered in one bounded pass.

Shape suffixes: b = images of a batch, t = tokens of an image, s = d_sae, k = top images.
"""

import torch
from torch import Tensor

from saev.viz.topk import TopImages


class LatentSurvey:
    """How often and how strongly each latent fires, and on which images most.

    Memory: 20 bytes a latent, and the top images (see `TopImages`).

    Args:
        d_sae: Number of latents.
        top_k: Images kept for each latent.
    """

    def __init__(self, d_sae: int, top_k: int) -> None:
        self.n_tokens = 0
        self._fires_s = torch.zeros(d_sae, dtype=torch.int64)
        self._sum_s = torch.zeros(d_sae, dtype=torch.float64)
        self._max_s = torch.zeros(d_sae)
        self.top = TopImages(d_sae, top_k)

    def update(self, f_bts: Tensor, image_ids_b: Tensor) -> None:
        """Add the codes (b, t, s) of images."""
        self.n_tokens += f_bts.shape[0] * f_bts.shape[1]
        best_bs = f_bts.amax(1)
        self._fires_s += (f_bts > 0).sum((0, 1)).cpu()
        self._sum_s += f_bts.sum((0, 1), dtype=torch.float64).cpu()
        self._max_s = torch.maximum(self._max_s, best_bs.amax(0).cpu())
        self.top.update(best_bs.cpu(), image_ids_b)

    @property
    def frequency(self) -> Tensor:
        """(s,) share of the tokens on which each latent fires."""
        return self._fires_s / max(1, self.n_tokens)

    @property
    def mean_value(self) -> Tensor:
        """(s,) mean value where a latent fires; 0 for dead latents."""
        return (self._sum_s / self._fires_s.clamp_min(1)).float()

    @property
    def max_value(self) -> Tensor:
        """(s,) largest value."""
        return self._max_s
