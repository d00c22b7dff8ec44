"""`saev demo`: all steps on generated pictures."""

import contextlib
import shlex
import sys
from pathlib import Path

from saev.byte_text import byte_text
from saev.cli import record, train
from saev.cli.parsing import typed
from saev.demo.scenes import write_scenes
from saev.errors import InputError, tell
from saev.files import free_bytes

BATCH_SIZE = 2048
BYTES_OF_IMAGE = 197 * 192 * 4  # recorded: tokens of vit_tiny_patch16_224, their width, float32


def demo(*, out: Path = Path("saev-demo"), n_images: int = 400, n_tokens: int = 600_000) -> int:
    """Draw pictures, record a small ViT with random weights on them, train an SAE, render its features.

    The last line of standard output is the page to open.

    Args:
        out: directory for the results
        n_images: number of pictures to draw
        n_tokens: tokens to train the SAE on
    """
    _check(out, n_images, n_tokens)
    with contextlib.redirect_stdout(sys.stderr):
        page = run(out, n_images, n_tokens)
    print(page)
    return 0


def main(argv: list[str]) -> int:
    """Run `saev demo ARGV` and return the exit status."""
    return typed.run(demo, argv, "saev demo")


def _check(out: Path, n_images: int, n_tokens: int) -> None:
    """Raise InputError before pictures are drawn in vain."""
    if n_images < 10:
        raise InputError(f"--n_images {n_images}: a demonstration needs at least 10 pictures")
    if n_tokens < BATCH_SIZE:
        raise InputError(f"--n_tokens {n_tokens}: a demonstration needs at least a batch, {BATCH_SIZE}")
    needed, free = n_images * BYTES_OF_IMAGE, free_bytes(out)
    if needed > free:
        raise InputError(
            f"--n_images {n_images}: their activations take {byte_text(needed)}, {byte_text(free)} are free: "
            "give fewer, or another --out"
        )


def run(out: Path, n_images: int, n_tokens: int) -> Path:
    """Do what a user would do by hand, showing each command; the gallery's index.html.

    Raises:
        InputError: If the directory is not empty, or a file.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file: give a directory, new or empty")
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty: give another directory, or remove it (chmod -R u+w, then rm -r)")
    write_scenes(out / "pictures", n_images)
    shards = record.record(_shown("predict", _predict_options(out)))[0]
    run_dir = train.train(_shown("fit", _fit_options(out, shards, n_tokens)))
    return next(run_dir.glob("features/*/index.html"))


def _predict_options(out: Path) -> list[str]:
    return [
        "--model.family=timm",
        "--model.ckpt=vit_tiny_patch16_224",
        "--model.weights=random",
        "--model.layers=[-8]",
        "--data.images=ImageFolder",
        f"--data.images.root={out / 'pictures'}",
        f"--writer.dump_to={out / 'shards'}",
    ]


def _fit_options(out: Path, shards: str, n_tokens: int) -> list[str]:
    return [
        f"--data.shards={shards}",
        f"--data.batch_size={BATCH_SIZE}",
        f"--data.n_tokens={n_tokens}",
        "--model.sae=TopK",
        "--model.sae.d_sae=1024",
        "--model.sae.k=8",
        "--visualizer.n_latents=200",
        f"--run_dir={out / 'run'}",
    ]


def _shown(command: str, options: list[str]) -> list[str]:
    tell("")
    tell(f"$ saev {command} {shlex.join(options)}")
    return options
