"""`saev probe intervene`: change latents inside the running ViT, and measure what becomes of its output."""

import json
from pathlib import Path
from typing import Literal

from saev.errors import InputError
from saev.shards.format.layout import TokenKind
from saev.splicing.given_facts import NOTHING_GIVEN, GivenVit


def intervene(
    *,
    sae: Path,
    images: Path,
    latents: list[int],
    edit: Literal["zero", "set", "scale", "add"] = "zero",
    value: float | None = None,
    tokens: str = "all",
    masks: Path | None = None,
    target: str | None = None,
    zero_shot: str | None = None,
    head: Path | None = None,
    shards: Path | None = None,
    model: GivenVit = NOTHING_GIVEN,
    sae_tokens: TokenKind | None = None,
    weights: str | None = None,
    n_images: int = 500,
    n_random: int = 20,
    curves: list[int] | None = None,
    n_maps: int = 4,
    block: int = 2,
    batch_size: int = 16,
    num_workers: int = 2,
    device: str | None = None,
    seed: int = 0,
    out: Path,
) -> int:
    """Change latents inside the running ViT, and measure on each picture what becomes of its output.

    Beside the edit stand changes as large along random latents. With folders of classes a linear probe learns from one
    half of the pictures, and all is measured on the other; curves say what becomes of each class when its most typical
    latents are switched off, or alone are on. Maps show where a latent fires, and what makes it fire. docs/probing.md
    explains the figures. The last line of standard output is the directory.

    Args:
        sae: directory of an SAE: RUN/saes/NAME
        images: folder of pictures, the first folder level is the class; or a class of sources with its options, as of
            predict
        latents: latents that change, together
        edit: zero switches them off, set gives them the value, scale multiplies them by it, add adds it
        value: a code, or for scale a multiplier
        tokens: all; places among the tokens that the SAE takes, such as '[0, 5]'; or mask, the patches of the target in
            the masks, without a target those of all classes but the background
        masks: folder of masks of the same names as the pictures, 8-bit PNG: 0 is the background, 255 no label
        target: class of pictures or masks that is told from all others
        zero_shot: also measure zero-shot probabilities, for a CLIP of open_clip: the sentence for a class, with {} for
            the name of its folder, such as 'a photo of a {}.'
        head: also measure the outputs of a linear head on the final embedding, a .safetensors file of weight and bias
        shards: a recording of the ViT, which says what the SAE does not say of itself: ViT, layer and preprocessing
        model: what neither of them says
        sae_tokens: tokens that the SAE takes, where it does not say it itself; by default content, the patches
        weights: the ViT's weights as `saev predict` took them: a .safetensors or .pt file, or random; by default they
            come from the network
        n_images: upper bound of the pictures, a random choice
        n_random: draws of random latents
        curves: numbers of each class's latents that are switched off, or alone on, by default 1, 2, 5, 10
            and 20; '[]' for no curves
        n_maps: pictures of each latent of which maps are made
        block: patches on a side of what is grey at once, for maps of what makes a latent fire
        batch_size: images of a forward pass
        num_workers: processes that decode; 0 decodes in the main one
        device: cpu, cuda, ...; by default a GPU if there is one
        seed: fixes the choice of pictures, their halves, random latents and p values
        out: directory for the results, which is not there yet
    """
    from saev.probing import intervene as run  # here and not above: the help answers without torch

    print(
        run(
            sae, images, latents, out, edit=edit, value=value, tokens=_where(tokens), masks=masks, target=target,
            zero_shot=zero_shot, head=head, shards=shards, model=model, sae_tokens=sae_tokens, weights=weights,
            n_images=n_images, n_random=n_random, curves=curves, n_maps=n_maps, block=block, batch_size=batch_size,
            num_workers=num_workers, device=device, seed=seed,
        )
    )  # fmt: skip
    return 0


def _where(text: str) -> Literal["all", "mask"] | list[int]:
    if text == "all" or text == "mask":
        return text  # type: ignore[return-value]
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(type(one) is int for one in found):
        raise InputError(f"--tokens {text}: give all, mask, or places such as '[0, 5]'")
    return found
