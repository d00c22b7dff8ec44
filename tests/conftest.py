"""Fixtures for the tests of several packages."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.recording import Recording
from tests.shards.small_recordings import record

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PREPROCESSING: dict[str, object] = {
    "library": "timm",
    "config": {
        "input_size": [3, 32, 32],
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "crop_pct": 1.0,
        "crop_mode": "center",
    },
}
MakeShards = Callable[..., tuple[Path, Tensor]]


@pytest.fixture(scope="session")
def make_shards(tmp_path_factory: pytest.TempPathFactory) -> MakeShards:
    """A function that writes a shard directory of random activations and gives it and the activations."""

    def make(
        n_examples: int = 40,
        *,
        d_model: int = 8,
        grid: tuple[int, int] = (2, 3),
        cls: bool = True,
        n_registers: int = 0,
        dtype: str = "float32",
        max_tokens: int = 70,
        acts: Tensor | None = None,
        name: str = "test",
        layer: int = 3,
        labels: Tensor | None = None,
        images: str = "0" * 64,
        ckpt: str = "test_vit",
    ) -> tuple[Path, Tensor]:
        tokens = TokenLayout(cls, n_registers, grid)
        layout = ShardLayout.balanced(n_examples, tokens, d_model, dtype, max_tokens)
        if acts is None:
            acts = torch.randn(n_examples, tokens.n_tokens, d_model, generator=torch.Generator().manual_seed(0))
        recording = Recording(
            name=name,
            model={"family": "timm", "ckpt": ckpt, "weights_digest": "0" * 64, "precision": "float32"},
            layer=layer,
            preprocessing=PREPROCESSING,
            image_set={"sha256": images, "n_examples": n_examples},
            layout=layout,
            source={"class": "ImageFolder", "args": {"root": "nowhere"}},
            class_names=["a"],
            dataset="nowhere",
        )
        examples = [ExampleRecord(f"{i:05d}.png", "a", 10, 10, 100, "0" * 64) for i in range(n_examples)]
        return record(tmp_path_factory.mktemp("shards"), recording, acts, labels=labels, examples=examples), acts

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as runner:
        opened = runner.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()
