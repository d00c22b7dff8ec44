"""Our own SAE directory: config.json and sae.safetensors."""

import json
import os
import re
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from saev.artifacts.checked_weights import load_checked
from saev.artifacts.metrics_file import METRICS_FILE, read_metrics, write_metrics
from saev.artifacts.provenance import Provenance, provenance_of
from saev.errors import InputError, tell
from saev.files import check_regular, read_regular, replacing, unwritable, write_whole
from saev.nn import ARCHITECTURES, SparseAutoencoder
from saev.nn.options import OWN_KEYS, check_options, check_rebuilds
from saev.shards.format.strict_json import parse_json

SCHEMA = 2
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "sae.safetensors"
MAX_WEIGHTS_BYTES = 2**40
MAX_CONFIG_BYTES = 2**28  # It may list millions of images that were held out.


def save_sae(
    sae: SparseAutoencoder,
    directory: str | Path,
    provenance: Provenance | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write an SAE to a directory, which is made if need be.

    Args:
        sae: The SAE, with its normalisation.
        directory: Where ``config.json`` and ``sae.safetensors`` go, and ``metrics.json`` where ``sae.metrics`` has any.
            Metrics are left out, which is said, where weights or options were changed after these were set.
        provenance: Where the SAE comes from; by default what it says itself (``sae.provenance``, which `load_sae`
            sets). Without one, commands take the ViT, the layer and the tokens from shards or options.
        overwrite: Whether it may take the place of another SAE, whose metrics are removed.

    Raises:
        InputError: If an SAE is there, the disk does not take the files, or the SAE could not be loaded again; files
            that were there before stay.

    >>> import saev, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     saev.save(saev.TopK(d_in=768, d_sae=4096, k=32), f"{directory}/my_sae")
    ...     saev.load(f"{directory}/my_sae").k
    32
    """
    directory = Path(directory)
    for name in (CONFIG_FILE, WEIGHTS_FILE, METRICS_FILE):
        if not overwrite and os.path.lexists(directory / name):
            raise InputError(f"{directory / name} is there already: name another directory, or give overwrite=True")
    write_sae(sae, directory, provenance_of(sae) if provenance is None else provenance)
    if sae.metrics and sae.is_as_measured:
        write_metrics(directory / METRICS_FILE, sae.metrics)
        return
    if sae.metrics:
        tell(f"{directory}: without {METRICS_FILE}: the SAE was changed after its metrics were measured")
    try:
        (directory / METRICS_FILE).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(unwritable(directory / METRICS_FILE, error)) from error


def write_sae(sae: SparseAutoencoder, directory: Path, provenance: Provenance) -> None:
    """Write an SAE in the place of one that is there, beside metrics that stay.

    Raises:
        InputError: As `save_sae`.
    """
    check_rebuilds(sae)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sae.state_dict().items()}
    _write_weights(directory / WEIGHTS_FILE, tensors)
    about = provenance.to_json()
    config = {"schema": SCHEMA, "architecture": type(sae).__name__, "d_in": sae.d_in, **sae.options(), "about": about}
    write_whole(directory / CONFIG_FILE, f"{json.dumps(config, indent=2, ensure_ascii=False)}\n".encode())


def _write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    with replacing(path, sum(tensor.nbytes for tensor in tensors.values())) as partial:
        partial.touch()
        mode = partial.stat().st_mode  # safetensors' own file could be read by its owner alone
        try:
            save_file(tensors, partial)
        except SafetensorError as error:
            # The system's number is in its text only.
            number = re.search(r"\(os error (\d+)\)", str(error))
            raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error)) from error
        partial.chmod(mode)


def load_sae(directory: str | Path) -> SparseAutoencoder:
    """Read an SAE from a directory that `save_sae` wrote.

    Args:
        directory: For example ``RUN/saes/NAME``.

    Returns:
        The SAE in evaluation mode on the CPU; `encode`, `decode` and `forward` take and give raw activations (b, d_in).
        Its `provenance` is a `Provenance`, empty where config.json says nothing about it; its `metrics` are those of
        metrics.json, if they can be read.

    Raises:
        InputError: If a file is missing or damaged, or was written for another version; if an option or a tensor is
            missing, unknown or of another kind, or a weight is not finite. Names it.

    >>> import saev, tempfile, torch
    >>> sae, x_bd = saev.TopK(d_in=8, d_sae=32, k=4).eval(), torch.randn(5, 8)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     saev.save(sae, directory)
    ...     torch.equal(saev.load(directory).encode(x_bd), sae.encode(x_bd))
    True
    """
    if not isinstance(directory, str | Path):
        raise InputError(f"the SAE is {type(directory).__name__}: give an SAE or the path of its directory")
    directory = Path(directory)
    path = directory / CONFIG_FILE
    config = _read_config(path)
    architecture = ARCHITECTURES.named(config.get("architecture"), str(path))
    options = {key: value for key, value in config.items() if key not in OWN_KEYS}
    check_options(architecture, options, path)
    check_regular(directory / WEIGHTS_FILE, MAX_WEIGHTS_BYTES)
    sae = load_checked(partial(architecture, **options), directory / WEIGHTS_FILE, path)
    sae.provenance = _provenance(config, path)
    with suppress(InputError):  # figures are no part of the SAE
        sae.metrics = read_metrics(directory / METRICS_FILE, quiet=True)
    return sae.eval().requires_grad_(False)


def _read_config(path: Path) -> dict[str, Any]:
    """What stands in config.json, checked as far as every architecture has it."""
    try:
        config = parse_json(read_regular(path, MAX_CONFIG_BYTES), str(path))
    except InputError as error:
        raise InputError(f"{error}: give the directory of an SAE, RUN/saes/NAME") from error
    if not isinstance(config, dict) or config.get("schema") != SCHEMA:
        raise InputError(f"{path} is no SAE of schema {SCHEMA}, the one that this version of saev reads")
    return config


def read_provenance(directory: Path) -> Provenance:
    """Where an SAE comes from, without its weights.

    Raises:
        InputError: If config.json cannot be read, or says it in another way than this version of saev.
    """
    path = directory / CONFIG_FILE
    return _provenance(_read_config(path), path)


def _provenance(config: dict[str, Any], path: Path) -> Provenance:
    about = config.get("about")
    try:
        return Provenance() if about is None else Provenance.from_json(about, f"{path}: about")
    except InputError as error:
        raise InputError(
            f'{error}: edited, or written by another version of saev: without its "about" the SAE can be used, too'
        ) from error
