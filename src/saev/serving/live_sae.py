"""An SAE behind its ViT: pictures in, codes out.

Shape suffixes: t = tokens of an image, q = tokens that the SAE takes, p = patches among them, d = d_in, s = d_sae.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from PIL import Image
from torch import Tensor

from saev.artifacts import Provenance
from saev.latents.sparse import Spots
from saev.nn import SparseAutoencoder
from saev.splicing.attach import token_layout
from saev.splicing.edits import Edit, edited_codes
from saev.splicing.recorded_backbone import attach_recorded
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
        """Mean code (s,) of the patches, or of all tokens where the SAE takes none."""
        return (self.f_qs[self.patches] if len(self.f_qs[self.patches]) else self.f_qs).mean(0)


@final
class LiveSae:
    """An SAE and the ViT that it was trained on.

    Args:
        sae: The SAE.
        provenance: Which layer and tokens it takes.
        backbone: That ViT.
        device: Where to compute.

    Raises:
        InputError: If the SAE's config.json names a layer, tokens or a width that the ViT does not have.
    """

    def __init__(
        self, sae: SparseAutoencoder, provenance: Provenance, backbone: Backbone, device: torch.device
    ) -> None:
        self._sae, self._backbone = sae.to(device), backbone.to(device)
        self._inside = attach_recorded(self._sae, provenance, self._backbone)
        assert self._inside.positions is not None, "tokens of a backbone have positions"
        patches = Spots.of(self._inside.positions, token_layout(backbone)).patches
        self.patches = slice(patches.start, patches.stop)
        self.d_sae = sae.d_sae

    def see(self, picture: Image.Image) -> Seen:
        """The codes of an RGB picture, prepared and encoded as the recorded ones were."""
        preprocessing = self._backbone.preprocessing
        with self._inside as inside:
            (f_qs,) = inside.codes(preprocessing.tensor(picture)[None])
        return Seen(preprocessing.view(picture), f_qs.cpu(), self.patches)

    @torch.no_grad()
    def reconstruction(self, mean_s: Tensor, factors: Mapping[int, float]) -> Tensor:
        """Mean reconstruction (d,) of tokens with the mean code (s,), the codes of some latents multiplied.

        The decoder is affine, so that what is decoded from the mean is the mean of what is decoded.
        """
        edits = [Edit(latent, "scale", factor) for latent, factor in factors.items()]
        (changed_ps,) = edited_codes(mean_s[None, None].to(self._sae.mean_d.device), edits)
        return self._sae.decode(changed_ps)[0].cpu()
