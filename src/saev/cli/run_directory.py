"""Whether a run directory takes what a run writes: asked before anything long begins."""

from pathlib import Path

from saev.artifacts.sae_files import WEIGHTS_FILE
from saev.byte_text import byte_text
from saev.callbacks.run_checkpoint import LAST
from saev.cli.sweep_parts import checkpoint_of
from saev.errors import InputError
from saev.files import check_writable, free_bytes
from saev.modules import SAELightningModule

BYTES_IN_CHECKPOINT, BYTES_IN_EXPORT = 12, 4
"""Of a parameter: float32, in a checkpoint with two moments of Adam."""
FLOOR_OF_GALLERY = 2**20
"""Least bytes of an SAE's gallery and its curves."""


def check_places(run_dir: Path, *folders: str | Path) -> None:
    """See whether files can be made in a run directory and in folders of it, those that are there or their parents.

    Raises:
        InputError: If not.
    """
    for folder in ("", *folders):
        check_writable(run_dir / folder)


def check_places_of_fit(run_dir: Path) -> None:
    """The same for all that `saev fit` writes.

    Raises:
        InputError: If a place cannot be written.
    """
    check_places(run_dir, LAST.parent, "saes", "features", "logs")


def check_space(run_dir: Path, model: SAELightningModule) -> None:
    """Compare what a run will write with what is free.

    A checkpoint stays until the next one is whole, so that there are two of one part of a run at the same time.

    Raises:
        InputError: If it does not fit the disk.
    """
    sizes = [
        BYTES_IN_CHECKPOINT * sum(recipe.n_parameters for recipe in model.recipes[start : start + model.at_once])
        for start in range(0, len(model.recipes), model.at_once)
    ]
    files = [run_dir / checkpoint_of(part, model.n_parts) for part in range(model.n_parts)]
    checkpoints = max(sizes) + sum(map(_missing, files, sizes))
    exports = sum(
        _missing(run_dir / "saes" / recipe.name / WEIGHTS_FILE, BYTES_IN_EXPORT * recipe.n_parameters)
        for recipe in model.recipes
    )
    galleries = FLOOR_OF_GALLERY * len(model.recipes)
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
