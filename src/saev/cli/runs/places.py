"""Whether a run directory takes what a run writes: asked before anything long begins."""

from pathlib import Path
from typing import TYPE_CHECKING

from saev.artifacts import RunDirectory
from saev.artifacts.run_directory import CHECKPOINT
from saev.artifacts.sae_files import WEIGHTS_FILE
from saev.byte_text import byte_text
from saev.errors import InputError
from saev.files import check_writable, free_bytes

if TYPE_CHECKING:  # Lightning takes seconds
    from saev.modules import SAELightningModule

BYTES_IN_CHECKPOINT, BYTES_IN_EXPORT = 12, 4
"""Of a parameter: float32, in a checkpoint with two moments of Adam."""
FLOOR_OF_GALLERY = 2**20
"""Least bytes of an SAE's gallery and its curves."""


def check_places(run_dir: Path, *folders: str | Path) -> None:
    """Raise InputError unless files can be made in a run directory and in folders of it, there or yet to be made."""
    for folder in ("", *folders):
        check_writable(run_dir / folder)


def check_places_of_fit(run_dir: Path) -> None:
    """The same for all that `saev fit` writes."""
    run = RunDirectory(run_dir)
    check_places(run_dir, CHECKPOINT.parent, *(path.name for path in (run.saes, run.features, run.logs)))


def check_space(run_dir: Path, model: "SAELightningModule") -> None:
    """Compare what a run will write with what is free.

    A checkpoint stays until the next one is whole, so that there are two at the same time.

    Raises:
        InputError: If it does not fit the disk.
    """
    size = BYTES_IN_CHECKPOINT * sum(spec.n_parameters for spec in model.specs)
    checkpoints = size + _missing(run_dir / CHECKPOINT, size)
    exports = sum(
        _missing(RunDirectory(run_dir).sae(spec.name) / WEIGHTS_FILE, BYTES_IN_EXPORT * spec.n_parameters)
        for spec in model.specs
    )
    galleries = FLOOR_OF_GALLERY * len(model.specs)
    needed, free = checkpoints + exports + galleries, free_bytes(run_dir)
    if needed > free:
        raise InputError(
            f"{run_dir} has {byte_text(free)} ({free} bytes) free, but the run needs {byte_text(needed)} ({needed} "
            f"bytes) or more: {byte_text(checkpoints)} for checkpoints, the old one beside the new one, "
            f"{byte_text(exports)} for SAEs, {byte_text(galleries)} for galleries and curves: make room or give "
            "another --run_dir"
        )


def _missing(path: Path, n_bytes: int) -> int:
    """What a file will take more than it does."""
    return max(0, n_bytes - (path.stat().st_size if path.is_file() else 0))
