"""An SAE behind its ViT: pictures in, codes out, and what the later blocks make of changed codes.

Shape suffixes: t = tokens of an image, q = tokens that the SAE takes, p = patches among them, d = d_in, s = d_sae,
b = pictures, e = width of the embedding, r = draws of random latents, l = changed latents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from saev.artifacts import Provenance
from saev.latents.sparse import Spots
from saev.nn import SparseAutoencoder
from saev.probing.interventions.changes import Batch, along_others
from saev.splicing.attach import token_layout
from saev.splicing.edits import Edit, edited_codes
from saev.splicing.recorded_backbone import attach_recorded
from saev.vit.backbone import Backbone


@final
@dataclass(frozen=True)
class Seen:
    """What an SAE makes of a picture."""

    view: Image.Image  # The picture as the ViT saw it.
    f_qs: Tensor  # Codes (q, s) of the tokens that the SAE takes, on the CPU.
    patches: slice  # Which of these are patches, in row-major order; empty where the SAE takes none.

    @property
    def _ranked_qs(self) -> Tensor:
        return self.f_qs[self.patches] if len(self.f_qs[self.patches]) else self.f_qs

    @property
    def mean_s(self) -> Tensor:
        """Mean code (s,) of the patches, or of all tokens where the SAE takes none."""
        return self._ranked_qs.mean(0)

    @property
    def largest_s(self) -> Tensor:
        """Largest code (s,) on the patches, or on all tokens where the SAE takes none."""
        return self._ranked_qs.amax(0)


@final
@dataclass(frozen=True)
class Changed:
    """Final embeddings of a picture, as it is and with changes inside the ViT."""

    before_e: Tensor  # As it is.
    after_e: Tensor  # With the edit.
    random_re: Tensor  # With as large changes along random latents.
    norm: float  # Norm of the edit's change over that of the tokens that it changes; 0 if it changes none.
    n_tokens: int  # How many tokens it changes.


@final
class LiveSae:
    """An SAE and the ViT that it was trained on.

    Args:
        provenance: Which layer and tokens it takes.

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
        self.d_sae, self.grid = sae.d_sae, backbone.grid

    def see(self, picture: Image.Image) -> Seen:
        """The codes of an RGB picture, prepared and encoded as the recorded ones were."""
        preprocessing = self._backbone.preprocessing
        return self._seen(preprocessing.view(picture), preprocessing.tensor(picture))

    def see_view(self, view: Image.Image) -> Seen:
        """The codes of a picture that has the size of the ViT's input already.

        Raises:
            InputError: If a preprocessing of the user's does not say how to go on from there.
        """
        return self._seen(view, self._backbone.preprocessing.tensor_of_view(view))

    def values(self, views: Sequence[Image.Image], latent: int) -> Tensor:
        """Codes (b, q) of one latent, on the CPU, in pictures that have the size of the ViT's input already.

        Raises:
            InputError: As `see_view`.
        """
        images = torch.stack([self._backbone.preprocessing.tensor_of_view(view) for view in views])
        with self._inside as inside:
            return inside.codes(images)[..., latent].float().cpu()

    def _seen(self, view: Image.Image, image: Tensor) -> Seen:
        with self._inside as inside:
            (f_qs,) = inside.codes(image[None])
        return Seen(view, f_qs.cpu(), self.patches)

    @torch.no_grad()
    def reconstruction(self, mean_s: Tensor, factors: Mapping[int, float]) -> Tensor:
        """Mean reconstruction (d,) of tokens with the mean code (s,), the codes of some latents multiplied.

        The decoder is affine, so that what is decoded from the mean is the mean of what is decoded.
        """
        (changed_ps,) = edited_codes(mean_s[None, None].to(self._sae.mean_d.device), _edits(factors, factors, None))
        return self._sae.decode(changed_ps)[0].cpu()

    def changed(
        self,
        view: Image.Image,
        factors: Mapping[int, float],
        patches: Sequence[int] | None,
        random_rl: NDArray[np.int64],
    ) -> Changed:
        """Run a picture as it is, with the codes of some latents multiplied, and with as large changes along others.

        What the SAE does not explain stays. The blocks up to the SAE's run once.

        Args:
            view: The picture as the ViT saw it.
            factors: What codes are multiplied by, by latent.
            patches: Where; None for all tokens that the SAE takes.
            random_rl: Other latents in the place of each of `factors`.

        Raises:
            InputError: As `see_view`.
        """
        image = self._backbone.preprocessing.tensor_of_view(view)[None]
        latents = list(factors)
        tokens = None if patches is None else [self.patches.start + patch for patch in patches]
        needed = sorted({*latents, *random_rl.flatten().tolist()})
        size: list[tuple[float, int]] = []

        def variants(x_btd: Tensor) -> dict[str, Tensor]:
            batch = Batch.of(inside, x_btd, needed)
            f_bpl = batch.codes(latents)
            change_bpl = edited_codes(f_bpl, _edits(factors, range(len(latents)), tokens)) - f_bpl
            edited_bpd = batch.added(change_bpl, latents)
            is_changed_bp = edited_bpd.norm(dim=-1) > 0
            below = batch.x_bpd[is_changed_bp].norm()
            size.append((float(edited_bpd.norm() / below) if below > 0 else 0.0, int(is_changed_bp.sum())))
            changes = [edited_bpd, *(along_others(batch, change_bpl, own, edited_bpd) for own in random_rl.tolist())]
            found = {str(n): inside.with_tokens(x_btd, batch.x_bpd + one) for n, one in enumerate(changes)}
            return {"before": x_btd, **found}

        with self._inside as inside, torch.no_grad():
            before_be, *others = inside.variants(image, variants).values()
        embedded_e = [one[0].float().cpu() for one in (before_be, *others)]
        ((norm, n_tokens),) = size
        return Changed(embedded_e[0], embedded_e[1], torch.stack(embedded_e[2:]), norm, n_tokens)

    def prepared(self, picture: Image.Image) -> Tensor:
        """What the ViT takes of an RGB picture, (channels, height, width)."""
        return self._backbone.preprocessing.tensor(picture)

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """Final embeddings (b, e) of prepared pictures (b, channels, height, width), on the CPU."""
        weight = next(self._backbone.parameters())
        return self._backbone.embed(images.to(weight.device, weight.dtype)).float().cpu()


def _edits(
    factors: Mapping[int, float], places: Sequence[int] | Mapping[int, float], tokens: list[int] | None
) -> list[Edit]:
    """The edits that multiply latents, at these places among the codes."""
    return [Edit(place, "scale", factor, tokens) for place, factor in zip(places, factors.values(), strict=True)]
