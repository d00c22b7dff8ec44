"""Changes of tokens: an edit of latents, the same along other latents, and latents switched off or alone on.

What the SAE does not explain stays in all of them: a change adds to a token what the changed codes add, and nothing
where they stay as they were.

Shape suffixes: b = images, p = tokens that the SAE takes, d = d_in, s = d_sae, u = all latents that some change needs,
l = latents of one change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, final

import torch
from torch import Tensor

from saev.splicing.attached import Attached
from saev.splicing.edits import Edit, edited_codes


@final
@dataclass(frozen=True)
class Batch:
    """Tokens of some images, and their codes of some latents."""

    x_bpd: Tensor  # The tokens.
    f_bpu: Tensor  # Codes of the latents.
    all_bpd: Tensor  # What all latents together add to the tokens.
    W_ud: Tensor  # What a code of 1 of each of the latents adds.
    places: dict[int, int]  # Of the latents among u.

    @classmethod
    @torch.no_grad()
    def of(cls, inside: Attached, x_btd: Tensor, latents: Sequence[int]) -> Self:
        """Encode the output of a layer.

        Args:
            x_btd: The output.
            latents: Those that changes will need, each once.
        """
        sae, x_bpd = inside.sae, inside.taken(x_btd)
        W_sd = sae.W_dec * sae.scale_d
        f, added = [], []
        for x_cpd in inside.chunks(x_bpd):
            f_cps = inside.encode(x_cpd)
            f.append(f_cps[..., list(latents)])
            added.append(f_cps @ W_sd)
        places = {latent: place for place, latent in enumerate(latents)}
        return cls(x_bpd, torch.cat(f), torch.cat(added), W_sd[list(latents)], places)

    def codes(self, latents: Sequence[int]) -> Tensor:
        """Codes (b, p, l) of some of the latents."""
        return self.f_bpu[..., self._of(latents)]

    def of_image(self, image: int, latents: Sequence[int]) -> Tensor:
        """Codes (p, l) of some of the latents on one image."""
        return self.f_bpu[image][:, self._of(latents)]

    def added(self, f_bpl: Tensor, latents: Sequence[int]) -> Tensor:
        """What codes (b, p, l) of latents add to the tokens (b, p, d)."""
        return f_bpl @ self.W_ud[self._of(latents)]

    def _of(self, latents: Sequence[int]) -> list[int]:
        return [self.places[latent] for latent in latents]


def code_change(batch: Batch, latents: Sequence[int], edit: Edit, mask_bp: Tensor | None) -> Tensor:
    """How much an edit changes codes (b, p, l) of its latents.

    Args:
        latents: Those of the edit, in its order.
        mask_bp: Where it applies, if not where the edit says.

    Raises:
        InputError: If it names a token that there is not.
    """
    f_bpl = batch.codes(latents)
    own = replace(edit, latents=list(range(len(latents))), tokens=edit.tokens if mask_bp is None else mask_bp)
    return edited_codes(f_bpl, [own]) - f_bpl


def along_others(batch: Batch, change_bpl: Tensor, others: Sequence[int], like_bpd: Tensor) -> Tensor:
    """The same change of codes along other latents' directions: (b, p, d), on each token of the norm of `like_bpd`.

    Args:
        change_bpl: Change of codes.
        others: A latent in the place of each.
        like_bpd: The change that it is compared with.
    """
    found_bpd = batch.added(change_bpl, others)
    norm_bp1 = torch.linalg.vector_norm(found_bpd, dim=-1, keepdim=True)
    wanted_bp1 = torch.linalg.vector_norm(like_bpd, dim=-1, keepdim=True)
    # Two latents with opposite directions may cancel: such a token stays as it is.
    return torch.where(norm_bp1 > 0, found_bpd * (wanted_bp1 / norm_bp1.clamp_min(1e-30)), 0)


def switched_off(batch: Batch, latents_b: Sequence[Sequence[int]]) -> Tensor:
    """Change (b, p, d) that switches off some latents of each image, those of its class."""
    return torch.stack([-_of_image(batch, image, own) for image, own in enumerate(latents_b)])


def alone_on(batch: Batch, latents_b: Sequence[Sequence[int]]) -> Tensor:
    """Change (b, p, d) that switches off all latents but some of each image."""
    kept = torch.stack([_of_image(batch, image, own) for image, own in enumerate(latents_b)])
    return kept - batch.all_bpd


def _of_image(batch: Batch, image: int, latents: Sequence[int]) -> Tensor:
    """What some latents add to the tokens (p, d) of one image."""
    return batch.added(batch.of_image(image, latents), latents)
