"""Pictures as the model's input, one by one, for a DataLoader with workers."""

import hashlib
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate
from typing_extensions import override

from saev.byte_text import byte_text
from saev.errors import InputError
from saev.progress import progress_bar
from saev.vit.images.base import ImageSource
from saev.vit.patch_labels import patch_labels
from saev.vit.preprocess import Preprocessing


@final
class ImageDataset(Dataset[dict[str, int | str | Tensor]]):
    """Items of a source of pictures: the preprocessed image and the facts about its file.

    An item is ``{"index", "image" (3, H, W) float32, "width", "height" (pixels, upright), "n_bytes", "digest"
    (SHA-256 of the file in hex)}``, with masks also ``"patch_labels" (h * w,) uint8``.
    """

    def __init__(self, source: ImageSource, preprocessing: Preprocessing, grid: tuple[int, int]) -> None:
        self.source = source
        self.preprocessing = preprocessing
        self.grid = grid

    def __len__(self) -> int:
        return len(self.source)

    @override
    def __getitem__(self, index: int) -> dict[str, int | str | Tensor]:
        """Read, decode and preprocess one picture; raises BadImage if it or its mask cannot be used."""
        data = self.source.read_bytes(index)
        picture, mask = self.source.read_with_mask(index, data)
        item: dict[str, int | str | Tensor] = {
            "index": index,
            "image": self.preprocessing.tensor(picture),
            "width": picture.width,
            "height": picture.height,
            "n_bytes": len(data),
            "digest": hashlib.sha256(data).hexdigest(),
        }
        if mask is not None:
            seen = np.asarray(self.preprocessing.nearest(mask))
            labels = patch_labels(seen, self.grid, self.source.pixel_agg, self.source.threshold)
            item["patch_labels"] = torch.from_numpy(labels)
        return item


@final
class ImageBatches(Dataset[dict[str, Any]]):
    """Batches of a data set of images, each a collated dict of its items.

    Args:
        spans: Stretches of the numbers of images; none of the batches reaches over the end of one.
        batch_size: Images of a batch; the last one of a stretch may have fewer.
    """

    def __init__(self, items: ImageDataset, spans: Sequence[Sequence[int]], batch_size: int) -> None:
        self._items = items
        self._batches = [span[i : i + batch_size] for span in spans for i in range(0, len(span), batch_size)]

    def __len__(self) -> int:
        return len(self._batches)

    @override
    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read the images of one batch; raises BadImage if one of them cannot be used."""
        batch: dict[str, Any] = default_collate([self._items[i] for i in self._batches[index]])
        return batch


def image_loader(
    items: ImageDataset, spans: Sequence[Sequence[int]], batch_size: int, num_workers: int, **options: Any
) -> DataLoader[dict[str, Any]]:
    """`ImageBatches` by so many processes that decode, or by this one; `options` are further ones of the DataLoader.

    Raises:
        InputError: If the workers cannot hand over so large batches.
    """
    if num_workers:
        _check_shared_files(batch_size, items.preprocessing)
    return DataLoader(
        ImageBatches(items, spans, batch_size),
        batch_size=None,
        num_workers=num_workers,
        # Forked workers start at once and share the list of pictures and the imported libraries with this process;
        # others import torch for seconds and hold half a gigabyte each. They never touch the GPU.
        multiprocessing_context="fork" if num_workers else None,
        worker_init_fn=leave_interrupts,
        **options,
    )


def image_batches(
    items: ImageDataset, chosen: Sequence[int], batch_size: int, num_workers: int, what: str
) -> Iterator[Tensor]:
    """Some images (b, 3, h, w) in their order, with a progress bar; the rest is as in `item_batches`."""
    for batch in item_batches(items, chosen, batch_size, num_workers, what):
        yield batch["image"]


def item_batches(
    items: ImageDataset, chosen: Sequence[int], batch_size: int, num_workers: int, what: str | None
) -> Iterator[dict[str, Any]]:
    """Some items of a data set in their order, each batch a collated dict of them, with a progress bar.

    Args:
        num_workers: Processes that decode.
        what: Names the bar; None for no bar.

    Raises:
        BadImage: If one of them cannot be used.
        InputError: If the workers cannot hand over so large batches.
    """
    loader = image_loader(items, [chosen], batch_size, num_workers)
    with progress_bar(total=len(chosen), desc=what, unit=" images", disable=what is None) as bar:
        for batch in loader:
            yield batch
            bar.update(len(batch["image"]))


def leave_interrupts(_worker: int) -> None:
    """Begin a worker: Ctrl-C reaches all processes of a terminal, and the main one stops its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = _print_unless_left


def _print_unless_left(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    # When the main process is stopped while it takes a batch, the error of torch's thread on this side means nothing.
    if not issubclass(kind, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)


def _check_shared_files(batch_size: int, preprocessing: Preprocessing) -> None:
    """Refuse a limit on file sizes that data workers would meet: what they hand over is a file in shared memory."""
    height, width = preprocessing.image_size
    n_bytes = batch_size * 3 * height * width * torch.float32.itemsize
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and n_bytes > limit:
        raise InputError(
            f"data workers hand over {byte_text(n_bytes)} a batch, files may have {byte_text(limit)} here: raise the "
            "limit (ulimit -f), or give num_workers 0 or a smaller batch_size"
        )
