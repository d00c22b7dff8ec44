"""What the tests of `saev predict` share: small pictures, short command lines, and shards read without saev."""

import json
import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

# Here, and not inside a test, whose captured standard error Lightning's logger would keep.
import saev.cli.record  # noqa: F401
from saev.cli.main import main

TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def noise(seed: int, width: int = 48, height: int = 40) -> Image.Image:
    """A picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_pictures(root: Path, n: int = 5) -> Path:
    """A folder of n pictures in two classes; their sorted order is that of their numbers."""
    for number in range(n):
        path = root / ("cat" if number < 3 else "dog") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(number).save(path)
    return root


def long_options(out: Path, pictures: Path, *more: str) -> list[str]:
    """Record two layers of 384 pictures in 16 shards of 24: long enough to be met in the middle."""
    layers = ["--model.layers=[1,2]", "--data.num_workers=1", "--writer.n_patches_per_shard=2424"]
    return options(out, folder(pictures), *layers, *more)


def huge_png() -> bytes:
    """A PNG that says to have 10^10 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def options(out: Path, images: Sequence[str], *more: str) -> list[str]:
    """Record the second-last block of timm's test model with random weights; later options win."""
    return [
        "predict",
        "--model.family=timm",
        "--model.ckpt=test_vit",
        "--model.weights=random",
        "--model.layers=[-2]",
        *images,
        "--data.batch_size=2",
        "--data.num_workers=0",
        f"--writer.dump_to={out}",
        "--trainer.accelerator=cpu",
        *more,
    ]


def folder(root: Path) -> list[str]:
    """The options for a folder of pictures."""
    return ["--data.images=ImageFolder", f"--data.images.root={root}"]


def recorded(argv: list[str], capsys: pytest.CaptureFixture[str]) -> list[Path]:
    """Run a command that must succeed; the directories that it prints, which is all that it prints."""
    capsys.readouterr()
    status = main(argv)
    out, err = capsys.readouterr()
    assert status == 0, err
    directories = [Path(line) for line in out.splitlines()]
    assert all((directory / "metadata.json").is_file() for directory in directories)
    return directories


def refused(argv: list[str], capsys: pytest.CaptureFixture[str], said: str, out: Path | None) -> None:
    """Run a command that must fail with one readable line and leave nothing behind."""
    capsys.readouterr()
    status = main(argv)
    printed, err = capsys.readouterr()
    assert status != 0
    assert printed == ""
    lines = err.splitlines()
    assert [line for line in lines if line.startswith("saev predict: error: ")] == lines[-1:], err
    assert "Traceback" not in err
    assert re.search(said, lines[-1]), lines[-1]
    assert out is None or not out.exists() or not list(out.iterdir())


def metadata(directory: Path) -> dict[str, object]:
    """The content of metadata.json."""
    content: dict[str, object] = json.loads((directory / "metadata.json").read_text())
    return content


def examples(directory: Path) -> list[dict[str, object]]:
    """The lines of examples.jsonl."""
    return [json.loads(line) for line in (directory / "examples.jsonl").read_text().splitlines()]


def activations(directory: Path) -> Tensor:
    """All activations (n, t, d) of a directory, read by its format's description alone."""
    about = metadata(directory)
    data = b"".join(path.read_bytes() for path in sorted(directory.glob("acts*.bin")))
    flat = torch.frombuffer(bytearray(data), dtype=TORCH_DTYPES[str(about["dtype"])])
    n_tokens = int(about["max_tokens_per_shard"]) // _examples_per_shard(directory)
    return flat.view(-1, n_tokens, int(about["d_model"]))[: int(about["n_examples"])]


def _examples_per_shard(directory: Path) -> int:
    """Examples of the first shard, which is full."""
    return int(json.loads((directory / "shards.json").read_text())[0]["n_examples"])


def contents_of(out: Path) -> dict[str, bytes]:
    """All files below a directory, by their relative paths."""
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
