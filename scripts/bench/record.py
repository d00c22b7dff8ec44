"""Recording time over the time of the bare forward pass to the same layer, on the CPU.

Both get the same batches from memory, so that decoding is left out; they alternate in one process, and the ratio of
their medians is printed.

    python scripts/bench/record.py --family timm --ckpt vit_base_patch32_224 --rounds 5
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from saev.callbacks import VitActivationWriter
from saev.modules import VitLightningModule
from saev.vit.images import ImageEntry, ImageSource


class NoPictures(ImageSource):
    """Names for pictures that exist only as tensors."""

    location = "memory"

    def __init__(self, n_images: int) -> None:
        self.entries = [ImageEntry(f"{i:06d}", None, 0) for i in range(n_images)]

    def read_bytes(self, index: int) -> bytes:
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        return {"class": "NoPictures", "args": {}}


class Batches(lightning.LightningDataModule):
    """The same random batch, again and again."""

    def __init__(self, image_size: tuple[int, int], batch_size: int, n_batches: int) -> None:
        super().__init__()
        self.images = NoPictures(batch_size * n_batches)
        pixels = torch.randn(batch_size, 3, *image_size)
        sizes = torch.ones(batch_size, dtype=torch.int64)
        self.batches: list[dict[str, Any]] = [
            {
                "index": torch.arange(i * batch_size, (i + 1) * batch_size),
                "image": pixels,
                "width": sizes,
                "height": sizes,
                "n_bytes": sizes,
                "digest": ["0" * 64] * batch_size,
            }
            for i in range(n_batches)
        ]

    def predict_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]


def bare(model: VitLightningModule, data: Batches) -> None:
    with torch.inference_mode():
        for batch in data.batches:
            model.predict_step(batch, 0)


def recorded(model: VitLightningModule, data: Batches, dtype: Any) -> None:
    with tempfile.TemporaryDirectory() as root:
        trainer = lightning.Trainer(
            callbacks=[VitActivationWriter(Path(root), dtype=dtype)],
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.predict(model, data, return_predictions=False)


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="timm", choices=["clip", "siglip", "dinov2", "dinov3", "timm"])
    parser.add_argument("--ckpt", default="vit_base_patch32_224")
    parser.add_argument("--image_size", type=int)
    parser.add_argument("--layers", type=int, nargs="+", default=[-2])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--n_batches", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = VitLightningModule(
        options.family,
        options.ckpt,
        options.layers,
        weights="random",
        image_size=options.image_size,
        precision=options.precision,
    )
    data = Batches(model.preprocessing.image_size, options.batch_size, options.n_batches)
    times: dict[str, list[float]] = {"bare": [], "recorded": []}
    for round_ in range(options.rounds + 1):
        pair = seconds(lambda: bare(model, data)), seconds(lambda: recorded(model, data, options.dtype))
        if round_:  # The first round warms up.
            for name, value in zip(times, pair, strict=True):
                times[name].append(value)
    n_images = options.batch_size * options.n_batches
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:>9}: {median:.2f} s, {n_images / median:.1f} images/s")
    print(f"    ratio: {medians['recorded'] / medians['bare']:.3f}")


if __name__ == "__main__":
    main()
