"""How checkpoint files get to the disk and back."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor
from typing_extensions import override

from saev.callbacks.checkpoint_digest import HashedWriting, announce, check, settle
from saev.errors import InputError, one_line
from saev.files import replacing


class DurableCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint in one step: after a power cut or a kill it is the old one or the new one, whole.

    Lightning's own way stages the file in the directory for temporary files, moves it, across disks by copying,
    does not wait for the disk, and says nothing where it may not write.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write beside the file, wait for the disk, rename; a digest lies in a file of its own.

        Raises:
            InputError: If the disk does not take it.
        """
        path = Path(path)
        with replacing(path, tensor_bytes(checkpoint)) as partial:
            with partial.open("wb") as file:
                hashed = HashedWriting(file)
                try:
                    torch.save(checkpoint, cast(IO[bytes], hashed))
                except RuntimeError as error:
                    # After a write that failed torch still ends its archive, and says only that this is impossible.
                    if fault := _fault_of_disk(error):
                        raise fault from error
                    raise
            announce(path, hashed.digest)
        settle(path, hashed.digest)

    @override
    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, loc: storage,  # noqa: ARG005 - Lightning's default
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            InputError: If it is damaged or no checkpoint of a run, or lacks what a run needs to go on.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                check(path, file)
                checkpoint = torch.load(file, map_location, weights_only=True)
        except InputError:
            raise
        except Exception as error:  # a reader fed with broken bytes may raise anything
            reason = one_line(error)
            raise InputError(f"the checkpoint {path} is damaged ({reason}): start a new run") from error
        if not isinstance(checkpoint, dict) or "loops" not in checkpoint:
            raise InputError(f"{path} is no checkpoint of a run: give RUN/checkpoints/last.ckpt")
        return checkpoint


def tensor_bytes(value: object) -> int:
    """Bytes of the tensors in dictionaries, lists and tuples: nearly all that a checkpoint takes."""
    if isinstance(value, Tensor):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(tensor_bytes, value.values()))
    return sum(map(tensor_bytes, value)) if isinstance(value, list | tuple) else 0


def _fault_of_disk(error: BaseException | None) -> OSError | None:
    """The OSError in whose handling another error was raised."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error
