"""The weights of an SAE on disk, checked before they are used."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from saev.errors import InputError, one_line
from saev.free_memory import check_memory
from saev.nn import SparseAutoencoder

FLOAT32_BYTES = 4


def load_checked(build: Callable[[], SparseAutoencoder], path: Path, config: Path) -> SparseAutoencoder:
    """An SAE with the tensors of a safetensors file.

    Args:
        build: Makes the SAE, with any weights.
        config: Where the options come from.

    Raises:
        InputError: If the options make no SAE; if the file is damaged, or a tensor of it is missing, unknown, of
            another shape or kind, or not finite. Names the tensor.
    """
    expected = _shapes(build, config)
    try:
        with safe_open(path, framework="pt") as file:
            _check_names(expected.keys(), file.keys(), path)
            for name, shape in expected.items():
                found = list(file.get_slice(name).get_shape())
                if found != shape:
                    raise InputError(f"{path}: {name} has the shape {found}, {config.name} asks for {shape}")
            n_bytes = sum(math.prod(shape) for shape in expected.values()) * FLOAT32_BYTES
            check_memory(n_bytes, f"the SAE {path.parent} takes", "free some, or use a larger machine")
            sae = build()
            for name, own in sae.state_dict().items():
                own.copy_(_checked(name, file.get_tensor(name), own, path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path} is damaged or no file of weights ({one_line(error)}): copy it again") from error
    return sae


def _shapes(build: Callable[[], SparseAutoencoder], config: Path) -> dict[str, list[int]]:
    """Of all tensors, without the memory for them."""
    try:
        with torch.device("meta"):
            return {name: list(tensor.shape) for name, tensor in build().state_dict().items()}
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise InputError(f"{config} makes no SAE: {one_line(error)}") from error


def _check_names(expected: Iterable[str], found: Iterable[str], path: Path) -> None:
    if missing := set(expected) - set(found):
        raise InputError(f"{path}: the tensor {min(missing)} is missing, it has {', '.join(sorted(found)) or 'none'}")
    if unknown := set(found) - set(expected):
        raise InputError(f"{path}: there is no place for the tensor {min(unknown)} in this architecture")


def _checked(name: str, tensor: Tensor, own: Tensor, path: Path) -> Tensor:
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_floating_point() != own.is_floating_point() or tensor.is_complex():
        asked = "numbers with a fraction, such as float32" if own.is_floating_point() else "whole numbers"
        raise InputError(f"{path}: {name} holds {kind}, it must hold {asked}")
    if tensor.is_floating_point() and tensor.numel():
        # Without a mask of the tensor's size; what is not a number makes both ends not a number.
        low, high = (end.item() for end in torch.aminmax(tensor.float()))
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(
                f"{path}: {name} holds values that are not finite: the SAE diverged or the file is damaged"
            )
        if name == "scale_d" and low <= 0:
            raise InputError(f"{path}: {name} holds {low:g}, a scale must be above 0")
    return tensor
