"""Changes of an SAE's codes.

Shape suffixes: b = images, p = tokens that the SAE takes, s = d_sae, l = latents that change.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self, final, get_args

import torch
from torch import Tensor

from saev.errors import InputError

How = Literal["zero", "set", "scale", "add"]


@final
@dataclass(frozen=True, eq=False)
class Edit:
    """A change of some latents' codes on some tokens.

    Codes are in units of the normalised activations: a code of c adds c times the SAE's scale times the latent's
    decoder direction to a token.

    Args:
        latents: One latent or several.
        how: "zero" switches them off, "set" gives them the value, "scale" multiplies them by it, and "add" adds it,
            which adds so much of the decoder direction wherever the latent fires or not.
        value: A code, or for "scale" a multiplier; negative ones steer away. "zero" takes none.
        tokens: Which of the tokens that the SAE takes: their places among these, or a mask (p,) or (b, p) of booleans.
            By default all.

    Raises:
        InputError: If no latent is given, `how` is unknown, or the value is not finite.

    >>> Edit(12, "zero"), Edit([3, 4], "scale", 2.0)
    (Edit(latents=12, how='zero', value=0.0, tokens=None), Edit(latents=[3, 4], how='scale', value=2.0, tokens=None))
    """

    latents: int | Sequence[int] | Tensor
    how: How
    value: float = 0.0
    tokens: Sequence[int] | Tensor | None = None

    def __post_init__(self) -> None:
        if self.how not in get_args(How):
            raise InputError(f"how={self.how!r} must be one of {', '.join(get_args(How))}")
        if not math.isfinite(self.value):
            raise InputError(f"value={self.value} must be finite")
        if self.how == "zero" and self.value:
            raise InputError(f'value={self.value}: "zero" takes no value, "set" does')
        if not self._latents():
            raise InputError("an edit changes one latent or more, none is given")

    def apply_(self, f_bps: Tensor) -> None:
        """Change codes (b, p, s) in place.

        Raises:
            InputError: If there is no such latent or token, or a mask has another shape.
        """
        latents_l = self._latents()
        if wrong := [latent for latent in latents_l if not 0 <= latent < f_bps.shape[-1]]:
            raise InputError(f"latent {wrong[0]} does not exist: the SAE has latents 0 to {f_bps.shape[-1] - 1}")
        old_bpl = f_bps[..., latents_l]
        new_bpl = self._changed(old_bpl)
        if self.tokens is not None:
            new_bpl = torch.where(self._mask(f_bps)[..., None], new_bpl, old_bpl)
        f_bps[..., latents_l] = new_bpl

    def _changed(self, f_bpl: Tensor) -> Tensor:
        if self.how == "scale":
            return f_bpl * self.value
        if self.how == "add":
            return f_bpl + self.value
        return torch.full_like(f_bpl, self.value)

    def _mask(self, f_bps: Tensor) -> Tensor:
        n_images, n_tokens = f_bps.shape[:2]
        tokens = torch.as_tensor(self.tokens, device=f_bps.device)
        if tokens.dtype == torch.bool:
            if tuple(tokens.shape) not in {(n_tokens,), (n_images, n_tokens)}:
                raise InputError(
                    f"a mask of the shape {tuple(tokens.shape)}: the SAE takes {n_tokens} tokens of each of {n_images} "
                    f"images, give ({n_tokens},) or ({n_images}, {n_tokens})"
                )
            return tokens
        if wrong := [token for token in tokens.flatten().tolist() if token not in range(n_tokens)]:
            raise InputError(f"token {wrong[0]} does not exist: the SAE takes {n_tokens} tokens, 0 to {n_tokens - 1}")
        mask = torch.zeros(n_tokens, dtype=torch.bool, device=f_bps.device)
        mask[tokens.long().flatten()] = True
        return mask

    def _latents(self) -> list[int]:
        found = torch.as_tensor(self.latents).flatten()
        if len(found) and (found.dtype == torch.bool or found.is_floating_point()):
            raise InputError(f"latents={self.latents!r} must be whole numbers")
        return [int(latent) for latent in found.tolist()]

    def of_images(self, first: int, n: int, n_images: int) -> Self:
        """The edit of n images of a batch, from the first of these on: a mask (b, p) has a row for each image.

        Raises:
            InputError: If it has rows for another number of images.
        """
        if self.tokens is None or (mask := torch.as_tensor(self.tokens)).ndim != 2:
            return self
        if len(mask) != n_images:
            raise InputError(f"a mask of {len(mask)} images: {n_images} are edited, give one row for each")
        return replace(self, tokens=mask[first : first + n])


def edited_codes(f_bps: Tensor, edits: Sequence[Edit]) -> Tensor:
    """Codes (b, p, s) after these edits, one after the other; the given ones stay as they are.

    >>> edited_codes(torch.ones(1, 2, 3), [Edit(0, "zero"), Edit([1, 2], "scale", 4.0, tokens=[1])]).tolist()
    [[[0.0, 1.0, 1.0], [0.0, 4.0, 4.0]]]

    Raises:
        InputError: If an edit names a latent or token that is not there.
    """
    changed_bps = f_bps.clone()
    for edit in edits:
        edit.apply_(changed_bps)
    return changed_bps
