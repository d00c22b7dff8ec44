"""The front door: opens a directory of shards, whoever wrote it."""

from pathlib import Path

from saev.errors import InputError
from saev.shards.format.metadata import Metadata
from saev.shards.reading.directory import check_is_finished
from saev.shards.reading.original import OriginalShards, is_original
from saev.shards.reading.reader import ShardReader


def layers_of(path: Path) -> tuple[int, ...]:
    """The numbers of the layers that a directory holds, from its descriptions alone.

    Raises:
        InputError: If they are missing, of an unfinished recording, damaged or contradictory.
    """
    check_is_finished(path)
    return OriginalShards.describe(path).metadata.layers if is_original(path) else Metadata.read(path).layers


def open_shards(path: str | Path, layer: int | None = None) -> ShardReader:
    """Open and check a directory of recorded activations, of ours or of the original saev.

    The descriptions are read and compared, and the size of every file is checked; the activations themselves are
    verified when they are read. `reader.read(start, stop)` gives those of some examples, a tensor (stop - start,
    tokens, d_model) in the stored dtype (float32 for int8), `reader.patch_labels()` their patch labels, uint8
    (n_examples, patches), and `reader.layout` says which tokens there are.

    Args:
        path: The directory, as `saev predict` printed it.
        layer: Which layer, counted as the directory's description does; needed where one of the original saev holds
            several, otherwise only checked.

    Raises:
        InputError: If it is missing, unfinished, of another version, contradictory or truncated, or has no such layer.

    >>> reader = open_shards("shards/timm-vit_small_patch16_224-layer10-8f0c2d1ab46e")  # doctest: +SKIP
    >>> reader.read(0, 10).shape  # doctest: +SKIP
    torch.Size([10, 197, 384])
    >>> open_shards("nowhere")
    Traceback (most recent call last):
    saev.errors.InputError: nowhere: no such directory: give a directory that `saev predict` printed
    """
    if not isinstance(path, str | Path):
        raise InputError(f"shards are {type(path).__name__}: give the path of one directory")
    path = Path(path)
    check_is_finished(path)
    if is_original(path):
        return ShardReader(**vars(OriginalShards.open(path).choose(layer)))
    reader = ShardReader.open(path)
    found = reader.recording.layer
    if layer not in (None, found):
        raise InputError(f"{path}: holds layer {found}, not layer {layer}: give shards of layer {layer}")
    return reader
