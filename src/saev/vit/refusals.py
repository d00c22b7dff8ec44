"""The refusals that both libraries' models share."""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches

from huggingface_hub import constants

from saev.errors import InputError, one_line

HUB = "hf-hub:"


@dataclass(frozen=True)
class Options:
    """Where the user, or a file, named a model, its weights, its family and its image size."""

    ckpt: str
    weights: str
    family: str = "--model.family"
    image_size: str = "--model.image_size"


MODEL = Options("--model.ckpt", "--model.weights")
NAMER = Options("--visualizer.namer", "--visualizer.namer_weights")
RECORDED = Options("the SAE's ViT", "--weights", "the family of the SAE's ViT", "the image size of the SAE's ViT")


class UnknownModelError(InputError):
    """Raised for the name of a model that its family does not have."""


def unknown(what: str, name: str, known: Collection[str], options: Options = MODEL) -> UnknownModelError:
    """Error for a name that is not known, with those that come near it."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=5, cutoff=0.5)]
    shown = near or sorted(known)[:8]
    hint = f"{'did you mean' if near else 'known are'} {', '.join(shown)}" if shown else "none is known"
    return UnknownModelError(f"unknown {what} '{name}' in {options.ckpt}; {hint}")


def not_had(ckpt: str, error: Exception, no_network: str | None, options: Options = MODEL) -> InputError:
    """Error for a model that the hub does not give.

    Args:
        error: What the hub's client said.
        no_network: Why there is no network, None where there is one; see `saev.vit.network.hub`.
        options: Where the user named it.
    """
    if no_network is not None:
        return InputError(
            f"cannot get {ckpt}: {no_network}, and the hub's cache {constants.HF_HUB_CACHE} does not hold it; check "
            f"the connection, or give {options.weights} FILE"
        )
    return InputError(
        f"cannot get {ckpt} from the network ({one_line(error)}); check the name and the connection, "
        f"or give {options.weights} FILE"
    )


def not_a_vit(ckpt: str, kind: str, options: Options = MODEL) -> InputError:
    """Error for a model that is no plain vision transformer."""
    return InputError(
        f"{options.ckpt} {ckpt} is a {kind}, not a plain vision transformer; "
        "ConvNets, ResNets and Swin have no one grid of patch tokens to record: choose a ViT"
    )


def check_image_size(
    size: tuple[int, int] | None,
    own: tuple[int, ...],
    patch: tuple[int, int],
    ckpt: str,
    options: Options = MODEL,
) -> None:
    """Raise InputError for a stated size that leaves a margin without patches; the model's own is taken as it is."""
    if size is None or size == own or all(s % p == 0 for s, p in zip(size, patch, strict=True)):
        return
    fits = tuple(max(p, s // p * p) for s, p in zip(size, patch, strict=True))
    raise InputError(
        f"{options.image_size} {size} is not a multiple of the patch size {tuple(patch)} of {ckpt}; {fits} would be"
    )
