"""A progress bar that counts images."""

from typing import Any

import lightning
from tqdm import tqdm
from typing_extensions import override

from saev.progress import progress_bar


class ImageProgress(lightning.Callback):
    """Shows images done, images per second and the time left of a prediction pass, on standard error.

    Where a recording goes on, the bar begins with the images that are recorded already. With several processes it
    shows those of the first one, which has as much to do as any other.
    """

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    @override
    def on_predict_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Open the bar."""
        if trainer.is_global_zero:
            data, n = trainer.datamodule, trainer.world_size  # type: ignore[attr-defined]
            total, desc = data.n_selected, f"recording in {n} processes, this one's part"
            if n == 1:
                total, desc = len(data.images), "recording"
            self._bar = progress_bar(
                total=total, initial=total - data.n_selected, unit=" images", desc=desc, smoothing=0.05
            )

    @override
    def on_predict_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        """Move the bar by the images of the batch."""
        if self._bar is not None:
            self._bar.update(len(batch["index"]))

    @override
    def teardown(self, *args: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()

    on_exception = teardown  # so that the error has a line of its own
