"""Weights as files: read them safely, fit them to a tower key by key, and name them by a digest."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from saev.errors import InputError, one_line
from saev.files import UnreadableFile, check_regular
from saev.vit.refusals import MODEL, Options

MAX_WEIGHTS_BYTES: Final = 2**40
"""Upper bound of a file of weights."""
_PICKLED = (".pt", ".pth", ".bin")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a .safetensors or .pt file; floating point ones become float32.

    A training checkpoint is unwrapped: ``{"state_dict": ...}`` and the ``module.`` of data parallel training.
    Nothing but tensors is unpickled.

    Raises:
        InputError: The file is missing, damaged, of another kind, or holds no tensors.
    """
    try:
        check_regular(path, MAX_WEIGHTS_BYTES)
    except UnreadableFile as error:
        raise InputError(f"weights file {error}; give a .safetensors or .pt file") from error
    try:
        content = _load(path)
    except Exception as error:  # a reader fed with broken bytes may raise anything
        reason = one_line(error)
        raise InputError(
            f"weights file '{path}' cannot be read ({reason}); is it whole, and does it hold only tensors?"
        ) from error
    return _tensors(content, path)


def _load(path: Path) -> object:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix in _PICKLED:
        content: object = torch.load(path, map_location="cpu", weights_only=True)
        return content
    raise ValueError(f"suffix '{path.suffix}' is none of .safetensors, {', '.join(_PICKLED)}")


def _tensors(content: object, path: Path) -> dict[str, Tensor]:
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"weights file '{path}' holds {type(content).__name__}, not a state dict of tensors")
    odd = [key for key, value in content.items() if not isinstance(value, Tensor)]
    if odd:
        raise InputError(f"weights file '{path}' is not a state dict: {_few(odd)} of {len(content)} are no tensors")
    wrapped = all(key.startswith("module.") for key in content)
    return {
        key.removeprefix("module.") if wrapped else key: value.float() if value.is_floating_point() else value
        for key, value in content.items()
    }


def load_exactly(
    tower: nn.Module, weights: Mapping[str, Tensor], file: Path, model: str, options: Options = MODEL
) -> None:
    """Load weights into a tower of which every key and shape must match.

    Raises:
        InputError: Keys are missing, unexpected or of another shape; the message lists a few of each.
    """
    own = tower.state_dict()
    shapes = {
        f"{key} {list(weights[key].shape)} instead of {list(own[key].shape)}"
        for key in own.keys() & weights.keys()
        if own[key].shape != weights[key].shape
    }
    faults = {
        "missing": own.keys() - weights.keys(),
        "unexpected": weights.keys() - own.keys(),
        "of another shape": shapes,
    }
    found = [f"{len(keys)} {fault}: {_few(sorted(keys))}" for fault, keys in faults.items() if keys]
    if found:
        raise InputError(
            f"weights file '{file}' does not fit {model} ({'; '.join(found)}); "
            f"give the weights of this architecture, or the {options.ckpt} that they belong to"
        )
    tower.load_state_dict(dict(weights))


def drop_heads(weights: Mapping[str, Tensor], heads: Collection[str]) -> dict[str, Tensor]:
    """Leave out the tensors whose first name is one of a tower's heads."""
    return {key: value for key, value in weights.items() if key.split(".", 1)[0] not in heads}


def weights_digest(module: nn.Module, without: Collection[str] = ()) -> str:
    """SHA-256 in hex over name, dtype, shape and bytes of a module's tensors, sorted by name, without some heads."""
    digest = hashlib.sha256()
    for name, tensor in sorted(drop_heads(module.state_dict(), without).items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _few(names: Collection[str]) -> str:
    return ", ".join(str(name) for name in list(names)[:3]) + (", ..." if len(names) > 3 else "")
