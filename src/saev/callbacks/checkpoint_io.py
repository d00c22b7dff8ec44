"""How checkpoint files get to the disk and back."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from typing_extensions import override

from saev.errors import InputError, one_line


class DurableCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint in one step: after a power cut or a kill it is the old one or the new one, whole.

    Lightning's own way stages the file in the directory for temporary files, moves it, across disks by copying,
    does not wait for the disk, and says nothing where it may not write.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside the file, wait for the disk, rename.

        Raises:
            InputError: If the disk does not take it.
        """
        path = Path(path)
        partial = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise InputError(f"the checkpoint {path} cannot be written: {error.strerror}") from error

    @override
    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, loc: storage,  # noqa: ARG005 - Lightning's default
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            InputError: If it is damaged or no checkpoint of a run.
        """
        try:
            checkpoint: dict[str, Any] = super().load_checkpoint(path, map_location, weights_only)
        except Exception as error:  # a reader fed with broken bytes may raise anything
            reason = one_line(error)
            raise InputError(f"the checkpoint {path} is damaged ({reason}): start a new run") from error
        if not isinstance(checkpoint, dict) or "loops" not in checkpoint:
            raise InputError(f"{path} is no checkpoint of a run: give RUN/checkpoints/last.ckpt")
        return checkpoint
