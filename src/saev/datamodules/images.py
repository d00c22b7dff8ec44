"""Pictures for a frozen ViT."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import lightning
import torch
from torch.utils.data import DataLoader
from typing_extensions import override

from saev.errors import InputError
from saev.progress import progress_bar
from saev.threads import check_threads
from saev.vit.dataset import ImageDataset, image_loader
from saev.vit.images import BadImage, ImageSource
from saev.vit.preprocess import Preprocessing

log = logging.getLogger(__name__)


class ImageDataModule(lightning.LightningDataModule):
    """Decodes and preprocesses pictures in the order of their source, for prediction.

    It gives all of them, or the stretches that `select` was given.

    A batch holds "image" (b, 3, H, W), "index", "width", "height", "n_bytes" and "digest" of each picture, and
    "patch_labels" (b, patches) where the source has masks.

    Args:
        images: Where the pictures come from.
        preprocessing: How they become the input of the ViT; known from the model.
        grid: Rows and columns of patches; known from the model.
        batch_size: Pictures of a forward pass.
        num_workers: Processes that decode; 0 decodes in the main process.
        on_bad_image: fail stops at a picture that cannot be read or decoded, or whose mask cannot. skip decodes all
            pictures once before the start and leaves the bad ones out of the set, so that indices do not change on the
            way.

    Raises:
        InputError: If there is no usable picture.
    """

    def __init__(
        self,
        images: ImageSource,
        preprocessing: Preprocessing,
        grid: tuple[int, int],
        batch_size: int = 64,
        num_workers: int = 2,
        on_bad_image: Literal["fail", "skip"] = "fail",
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise InputError(f"batch_size={batch_size} must be 1 or more")
        check_threads("num_workers", num_workers, least=0)
        if on_bad_image == "fail":
            images.check_known()  # Before anything is computed.
        self.images = without_bad(images, max(1, num_workers)) if on_bad_image == "skip" else images
        self._preprocessing = preprocessing
        self._grid = grid
        self.batch_size = batch_size
        self._num_workers = num_workers
        self._spans = [range(len(self.images))]
        # A process may have nothing to do: there are fewer shards than processes.
        self.allow_zero_length_dataloader_with_multiple_devices = True

    def select(self, spans: Sequence[range]) -> None:
        """Give only these stretches of pictures; batches begin anew with each of them.

        So the batches of a stretch are the same whichever process runs it, and with them the last bits of the
        activations.
        """
        self._spans = list(spans)

    @property
    def n_selected(self) -> int:
        """Pictures that are given."""
        return sum(map(len, self._spans))

    @override
    def predict_dataloader(self) -> DataLoader[dict[str, Any]]:
        """The selected pictures, in order."""
        items = ImageDataset(self.images, self._preprocessing, self._grid)
        return image_loader(
            items,
            self._spans,
            self.batch_size,
            self._num_workers,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
            # So that the trainer holds the workers and ends them at once when the pass fails.
            persistent_workers=self._num_workers > 0,
        )

    @override
    def transfer_batch_to_device(
        self, batch: dict[str, Any], device: torch.device, dataloader_idx: int
    ) -> dict[str, Any]:
        """Move the pictures only: the facts about them are read on the CPU, without waiting for the device."""
        return {**batch, "image": batch["image"].to(device, non_blocking=True)}


def without_bad(images: ImageSource, n_threads: int) -> ImageSource:
    """Decode all pictures once and leave out those that cannot be; each is logged.

    Raises:
        InputError: If none is left.
    """

    def fault(index: int) -> BadImage | None:
        try:
            images.check(index)
        except BadImage as error:
            return error
        return None

    with ThreadPoolExecutor(n_threads) as pool:
        faults = list(
            progress_bar(pool.map(fault, range(len(images))), total=len(images), desc="checking", unit=" images")
        )
    bad = [index for index, error in enumerate(faults) if error is not None]
    for index in bad:
        log.warning("left out: %s", faults[index])
    if len(bad) == len(images):
        raise InputError(f"none of the {len(images)} pictures can be decoded; the first: {faults[0]}")
    return images.without(bad) if bad else images
