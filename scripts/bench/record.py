"""What recording costs beside the forward pass, on the CPU; all in one run, alternating.

    python scripts/bench/record.py forward                        # ViT-B/32, one layer: recorded / bare forward pass
    python scripts/bench/record.py forward --layers $(seq 0 11)   # all twelve
    python scripts/bench/record.py decode    # JPEG files: recorded / the slower of decoding and forward pass
    python scripts/bench/record.py memory    # peak memory of `saev predict` for 10 times the images

`forward` gets the same batches from memory on both sides, up to the last layer that is recorded. `decode` gives one
core to the forward pass and one to a data worker. The median of the ratios of the rounds is printed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader

from saev.callbacks import VitActivationWriter
from saev.datamodules import ImageDataModule
from saev.modules import VitLightningModule
from saev.vit.images import ImageEntry, ImageFolder, ImageSource


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

    def select(self, spans: Sequence[range]) -> None:
        assert list(spans) == [range(len(self.images))], "one shard holds all"

    def predict_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(self.batches, batch_size=None)  # type: ignore[arg-type]


def bare(model: VitLightningModule, data: Batches) -> None:
    with torch.inference_mode():
        for batch in data.batches:
            model.predict_step(batch, 0)


def decoded(data: ImageDataModule) -> None:
    for _ in data.predict_dataloader():
        pass


def recorded(model: VitLightningModule, data: lightning.LightningDataModule, dtype: Any) -> None:
    with tempfile.TemporaryDirectory() as root:
        trainer = lightning.Trainer(
            callbacks=[VitActivationWriter(Path(root), dtype=dtype, n_patches_per_shard=10**9)],
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


def compare(works: dict[str, Callable[[], None]], rounds: int, n_images: int) -> None:
    """Print the rates of all, and the time of the last one over that of the slowest other one."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(rounds + 1):
        found = {name: seconds(work) for name, work in works.items()}
        if round_:  # The first round warms up.
            for name, value in found.items():
                times[name].append(value)
    for name, values in times.items():
        print(f"{name:>9}: {statistics.median(values):.2f} s, {n_images / statistics.median(values):.1f} images/s")
    *others, last = times.values()
    ratios = [mine / max(theirs) for mine, *theirs in zip(last, *others, strict=True)]
    print(f"    ratio: {statistics.median(ratios):.3f} (rounds: {', '.join(f'{ratio:.3f}' for ratio in ratios)})")


def load(options: argparse.Namespace) -> VitLightningModule:
    return VitLightningModule(
        options.family,
        options.ckpt,
        options.layers,
        weights="random",
        image_size=options.image_size,
        precision=options.precision,
    )


def forward(options: argparse.Namespace) -> None:
    model = load(options)
    data = Batches(model.preprocessing.image_size, options.batch_size, options.n_batches)
    works = {"bare": lambda: bare(model, data), "recorded": lambda: recorded(model, data, options.dtype)}
    compare(works, options.rounds, len(data.images))


def draw(root: Path, n_images: int) -> None:
    """Photograph-like JPEG files of 500 x 375 pixels."""
    rng = np.random.default_rng(0)
    for number in range(n_images):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        fine = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(fine + rng.integers(-12, 13, fine.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(root / f"{number:05d}.jpg", quality=90)


def decode(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    model = load(options)
    memory = Batches(model.preprocessing.image_size, options.batch_size, options.n_batches)
    with tempfile.TemporaryDirectory() as root:
        draw(Path(root), len(memory.images))
        data = ImageDataModule(ImageFolder(root), model.preprocessing, model.grid, options.batch_size, num_workers=1)
        works = {
            "decoding": lambda: decoded(data),
            "bare": lambda: bare(model, memory),
            "recorded": lambda: recorded(model, data, options.dtype),
        }
        compare(works, options.rounds, len(memory.images))


def memory(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as root:
        pictures = Path(root) / "pictures"
        pictures.mkdir()
        draw(pictures, 1)
        for n_images in (options.batch_size * options.n_batches, 10 * options.batch_size * options.n_batches):
            for number in range(n_images):
                (pictures / f"link{number:06d}.jpg").unlink(missing_ok=True)
                (pictures / f"link{number:06d}.jpg").hardlink_to(pictures / "00000.jpg")
            peak = peak_bytes(options, pictures, Path(root) / str(n_images))
            print(f"{n_images:>7} images: peak {peak / 1e6:.0f} MB")


def peak_bytes(options: argparse.Namespace, pictures: Path, out: Path) -> int:
    """Peak resident memory of a real `saev predict`, without its data workers."""
    argv = [f"--model.family={options.family}", f"--model.ckpt={options.ckpt}", "--model.weights=random"]
    argv += [f"--model.layers={options.layers}", f"--model.precision={options.precision}"]
    argv += ["--data.images=ImageFolder", f"--data.images.root={pictures}", f"--data.batch_size={options.batch_size}"]
    argv += [f"--writer.dump_to={out}", f"--writer.dtype={options.dtype}", "--trainer.accelerator=cpu"]
    process = subprocess.Popen([sys.executable, "-m", "saev", "predict", *argv])
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"saev predict ended with {os.waitstatus_to_exitcode(status)}"
    return usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    works = {"forward": forward, "decode": decode, "memory": memory}
    parser.add_argument("what", choices=works)
    parser.add_argument("--family", default="timm", choices=["clip", "siglip", "dinov2", "dinov3", "timm"])
    parser.add_argument("--ckpt", default="vit_base_patch32_224")
    parser.add_argument("--image_size", type=int)
    parser.add_argument("--layers", type=int, nargs="+", default=[-2])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16", "int8"])
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--n_batches", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    works[options.what](options)


if __name__ == "__main__":
    main()
