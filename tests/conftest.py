"""Fixtures for the tests of several packages."""

import tests.triton_device  # noqa: F401, I001 - before anything imports Triton

import gc
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from torch import Tensor

from saev.latents.naming import kept_words
from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.recording import Recording
from tests.browsing import browser, complaints, open_page, tabs
from tests.shards.small_recordings import record

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
__all__ = ["browser", "complaints", "make_shards", "open_page", "tabs"]

# What is imported and collected stays: to look for garbage in it takes a quarter of the time until the first test.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Collect garbage again, of what tests make."""
    gc.freeze()
    gc.enable()


# How long an example takes says nothing on a machine that does other things, too.
hypothesis.settings.register_profile("saev", deadline=None)
hypothesis.settings.load_profile("saev")
MakeShards = Callable[..., tuple[Path, Tensor]]


@pytest.fixture(scope="session")
def every(pytestconfig: pytest.Config) -> int:
    """How many cases a test goes on that has hundreds: the daily tier tries all of them, others each seventh."""
    return 7 if "not daily" in pytestconfig.option.markexpr else 1


@pytest.fixture(scope="session", autouse=True)
def words_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Embedded words that tests make are kept in a directory of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        directory = tmp_path_factory.mktemp("words")
        patch.setattr(kept_words, "cache_directory", lambda: directory)
        yield


@pytest.fixture(scope="session", autouse=True)
def disk_that_keeps_no_one_waiting() -> Iterator[None]:
    """No test loses power, so that none has to wait for the disk; a file that is closed is a fault all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


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
        **facts: Any,
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
        recording = replace(recording, **facts)
        return record(tmp_path_factory.mktemp("shards"), recording, acts, labels=labels, examples=examples), acts

    return make
