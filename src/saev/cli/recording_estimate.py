"""How fast a recording would be."""

import time

import torch

from saev.datamodules import ImageDataModule
from saev.modules import VitLightningModule

_MAX_BATCHES = 50
_MAX_SECONDS = 15.0


def images_per_second(model: VitLightningModule, data: ImageDataModule, device: torch.device) -> float:
    """The rate of decoding and the forward pass together, from the first batches."""
    data.select([range(min(len(data.images), _MAX_BATCHES * data.batch_size))])
    model.to(device)
    started = warm = time.perf_counter()
    n_warm = n_images = 0
    with torch.inference_mode():
        for batch in data.predict_dataloader():
            outputs = model.predict_step({"image": batch["image"].to(device)}, 0)
            for acts in outputs.values():
                acts[-1, -1, -1].item()  # waits for the device
            n_images += len(batch["image"])
            if n_warm == 0:  # the first batch pays for the start of workers and kernels
                n_warm, warm = n_images, time.perf_counter()
            elif time.perf_counter() - warm > _MAX_SECONDS:
                break
    if n_images > n_warm:
        return (n_images - n_warm) / (time.perf_counter() - warm)
    return n_images / (time.perf_counter() - started)
