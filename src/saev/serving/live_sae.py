"""An SAE behind its ViT: pictures in, codes out.

Shape suffixes: t = tokens of an image, q = tokens that the SAE takes, p = patches among them, d = d_in, s = d_sae.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from PIL import Image
from torch import Tensor

from saev.artifacts import About
from saev.latents.heatmaps import patches_among
from saev.nn import SparseAutoencoder
from saev.serving.recorded_means import averaged
from saev.splicing.recorded_backbone import RecordedTokens
from saev.vit.backbone import Backbone


@final
@dataclass(frozen=True)
class Seen:
    """What an SAE makes of a picture.

    Args:
        view: The picture as the ViT saw it.
        f_qs: Codes (q, s) of the tokens that the SAE takes, on the CPU.
        patches: Which of these are patches, in row-major order; empty where the SAE takes none.
    """

    view: Image.Image
    f_qs: Tensor
    patches: slice

    @property
    def mean_s(self) -> Tensor:
        """Mean code (s,) of the tokens that `averaged` names: of the patches, if there are any."""
        return averaged(self.f_qs[None], self.patches)[0]


@final
class LiveSae:
    """An SAE and the ViT that it was trained on.

    Args:
        sae: The SAE.
        about: What it was trained on.
        backbone: That ViT.
        device: Where to compute.

    Raises:
        InputError: If the SAE's config.json names a layer, tokens or a width that the ViT does not have.
    """

    def __init__(self, sae: SparseAutoencoder, about: About, backbone: Backbone, device: torch.device) -> None:
        self._tokens = RecordedTokens.of(sae, about, backbone)
        self.patches = patches_among(self._tokens.positions, self._tokens.layout)
        self._sae, self._backbone, self._device = sae.to(device), backbone.to(device), device
        self.d_sae = sae.d_sae

    @torch.no_grad()
    def see(self, picture: Image.Image) -> Seen:
        """The codes of an RGB picture, prepared and encoded as the recorded ones were."""
        preprocessing = self._backbone.preprocessing
        image = preprocessing.tensor(picture)[None].to(self._device, next(self._backbone.parameters()).dtype)
        layer = self._tokens.layer
        (f_qs,) = self._sae.encode(self._tokens.among(self._backbone(image, [layer])[layer]))
        return Seen(preprocessing.view(picture), f_qs.cpu(), self.patches)

    @torch.no_grad()
    def reconstruction(self, mean_s: Tensor, factors: Mapping[int, float]) -> Tensor:
        """Mean reconstruction (d,) of tokens with the mean code (s,), the codes of some latents multiplied.

        The decoder is affine, so that what is decoded from the mean is the mean of what is decoded.
        """
        changed_s = mean_s.clone()
        for latent, factor in factors.items():
            changed_s[latent] *= factor
        return self._sae.decode(changed_s.to(self._device)).cpu()
