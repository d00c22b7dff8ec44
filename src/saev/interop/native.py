"""Our own SAE directory: config.json and sae.safetensors."""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from saev.byte_text import byte_text
from saev.errors import InputError, one_line
from saev.files import UnreadableFile, check_regular, read_regular, replacing, write_whole
from saev.interop.about import About
from saev.nn import ARCHITECTURES, SparseAutoencoder
from saev.shards.format.strict_json import parse_json
from saev.shards.loading.free_memory import free_memory

SCHEMA = 2
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "sae.safetensors"
MAX_WEIGHTS_BYTES = 2**40
MAX_CONFIG_BYTES = 2**28  # It may list millions of images that were held out.


def save_sae(sae: SparseAutoencoder, directory: Path, about: dict[str, Any]) -> None:
    """Write an SAE to a directory, which is made if need be.

    Args:
        sae: The SAE, with its normalisation.
        directory: Where ``config.json`` and ``sae.safetensors`` go.
        about: JSON-able facts for readers of config.json, such as which activations it was trained on.

    Raises:
        InputError: If the disk does not take them; files that were there before stay.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sae.state_dict().items()}
    _write_weights(directory / WEIGHTS_FILE, tensors)
    config = {"schema": SCHEMA, "architecture": type(sae).__name__, "d_in": sae.d_in, **sae.options()}
    text = json.dumps({**config, "about": about}, indent=2, ensure_ascii=False)
    write_whole(directory / CONFIG_FILE, f"{text}\n".encode())


def _write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing(path, sum(tensor.nbytes for tensor in tensors.values())) as partial:
        partial.touch()
        mode = partial.stat().st_mode  # safetensors' own file could be read by its owner alone
        try:
            save_file(tensors, partial)
        except SafetensorError as error:
            # It tells the system's number in its text only.
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error)) from error
        partial.chmod(mode)


def load_sae(directory: str | Path) -> SparseAutoencoder:
    """Read an SAE from a directory that `save_sae` wrote.

    Args:
        directory: For example ``RUN/saes/NAME``.

    Returns:
        The SAE in evaluation mode on the CPU; `encode`, `decode` and `forward` take and give raw activations.

    Raises:
        InputError: If a file is missing or damaged, or was written for another version.
    """
    directory = Path(directory)
    config = _read_config(directory / CONFIG_FILE)
    architecture = ARCHITECTURES[config["architecture"]]
    options = {key: value for key, value in config.items() if key not in ("schema", "architecture", "about")}
    try:
        check_regular(directory / WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
        with torch.device("meta"):
            outline = architecture(**options)
        _check_fits(outline, directory / WEIGHTS_FILE)
        sae = architecture(**options)
        sae.load_state_dict(load_file(directory / WEIGHTS_FILE))
    except (OSError, SafetensorError, TypeError, RuntimeError, UnreadableFile) as error:
        reason = one_line(error)
        raise InputError(f"{directory}: {WEIGHTS_FILE} and {CONFIG_FILE} give no SAE: {reason}") from error
    return sae.eval().requires_grad_(False)


def _check_fits(outline: SparseAutoencoder, path: Path) -> None:
    """Compare an SAE without memory with what its file holds, and with the memory that is free.

    Raises:
        InputError: If it is another one, or does not fit.
        OSError: If the file cannot be read; SafetensorError: if it is none.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in outline.state_dict().items()}
    with safe_open(path, "pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    if found != expected:
        differ = sorted(name for name in {**found, **expected} if found.get(name) != expected.get(name))
        one = differ[0]
        raise InputError(
            f"{path.parent}: {WEIGHTS_FILE} and {CONFIG_FILE} give no SAE: {one} has the shape {found.get(one)} in "
            f"the one, {expected.get(one)} in the other"
        )
    n_bytes = sum(tensor.nbytes for tensor in outline.state_dict().values())
    try:
        free, where = free_memory()
    except (OSError, ValueError):
        return  # a system that does not tell its memory
    if n_bytes > free:
        raise InputError(
            f"the SAE {path.parent} takes {byte_text(n_bytes)} of memory, {byte_text(free)} are free on {where}: "
            "free some, or use a larger machine"
        )


def _read_config(path: Path) -> dict[str, Any]:
    """What stands in config.json, checked as far as every architecture has it."""
    try:
        config = parse_json(read_regular(path, MAX_CONFIG_BYTES), str(path))
    except InputError as error:
        raise InputError(f"{error}: give the directory of an SAE, RUN/saes/NAME") from error
    if not isinstance(config, dict) or config.get("schema") != SCHEMA:
        raise InputError(f"{path} is no SAE of schema {SCHEMA}, the one that this version of saev reads")
    sizes = {key: config[key] for key in ("d_in", "d_sae", "k") if key in config}
    if any(type(size) is not int for size in sizes.values()):
        raise InputError(f"{path}: {sizes} must be whole numbers")
    if str(config.get("architecture")) not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise InputError(f"{path} names the architecture {config.get('architecture')!r}; known are {known}")
    return config


def load_run(run_dir: Path) -> dict[str, SparseAutoencoder]:
    """All SAEs of a run directory, by name.

    Raises:
        InputError: If there is none.
    """
    directories = sorted(path.parent for path in run_dir.glob(f"saes/*/{CONFIG_FILE}"))
    if not directories:
        raise InputError(f"{run_dir} holds no saes/NAME/{CONFIG_FILE}: has `saev fit --run_dir {run_dir}` finished?")
    return {directory.name: load_sae(directory) for directory in directories}


def read_about(directory: Path) -> About:
    """What an SAE was trained on: the "about" of its config.json.

    Raises:
        InputError: If config.json cannot be read, or does not tell it as this version of saev does.
    """
    path = directory / CONFIG_FILE
    about = _read_config(path).get("about")
    try:
        return About.from_json(about, f"{path}: about")
    except InputError as error:
        raise InputError(f"{error}: edited, or written by another version of saev: train again") from error
