"""What the tests of `saev fit` share: data with a structure, a short command line, and what a run leaves."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch  # noqa: F401 - its log handler must not take hold of the standard error of one test
import numpy as np
import pytest
import torch
from torch import Tensor

from saev.cli.main import main
from saev.nn import SparseAutoencoder

SAVE_OFTEN = "--checkpoint.every_n_steps=5"
TOPK = ("--model.sae=TopK", "--model.sae.d_sae=48", "--model.sae.k=4")
TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


def sparse_acts(n_examples: int, n_tokens: int, d_model: int = 16, n_directions: int = 24, seed: int = 0) -> Tensor:
    """Activations (n, t, d) that three of n_directions make, around a mean far from 0."""
    rng = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(n_directions, d_model, generator=rng), dim=-1)
    scores = torch.rand(n_examples, n_tokens, n_directions, generator=rng)
    strength = torch.rand(n_examples, n_tokens, n_directions, generator=rng) + 0.5
    codes = torch.where(scores >= scores.topk(3).values[..., -1:], strength, 0)
    return codes @ directions + 3 * torch.randn(d_model, generator=rng)


def fit_options(shards: Path, run_dir: Path, *more: str, sae: Sequence[str] = TOPK) -> list[str]:
    """An SAE of 48 latents, by default a TopK, trained for 40 steps on the CPU; later options win."""
    return [
        "fit",
        f"--data.shards={shards}",
        f"--run_dir={run_dir}",
        "--data.n_tokens=2560",
        "--data.batch_size=64",
        *sae,
        "--trainer.accelerator=cpu",
        "--trainer.enable_progress_bar=false",
        "--visualizer.n_latents=2",
        *more,
    ]


def only(directory: Path, pattern: str) -> Path:
    """The one path of this pattern."""
    (path,) = directory.glob(pattern)
    return path


def weights(run_dir: Path) -> dict[str, Tensor]:
    """The model's part of last.ckpt."""
    checkpoint = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    state: dict[str, Tensor] = checkpoint["state_dict"]
    return state


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Weights of a run in two processes are those of one.

    Sums over halves are rounded differently, and Adam's first steps make more of it.
    """
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}"
        )


def metrics(run_dir: Path) -> dict[str, dict[str, float]]:
    """The metrics.json of a run's one SAE."""
    content: dict[str, dict[str, float]] = json.loads(only(run_dir, "saes/*/metrics.json").read_text())
    return content


SPEED = "train/tokens_per_s"


def scalars(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of all TensorBoard scalars below a run directory, of the last writer for each step.

    Tokens per second are left out, which are no fact of the run.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: dict[str, dict[int, float]] = {}
    for file in sorted(run_dir.glob("events*"), key=lambda path: path.stat().st_mtime_ns):
        events = EventAccumulator(str(file)).Reload()
        for tag in set(events.Tags()["scalars"]) - {SPEED}:
            found.setdefault(tag, {}).update({event.step: event.value for event in events.Scalars(tag)})
    return {tag: sorted(values.items()) for tag, values in found.items()}


def numpy_fvu(sae: SparseAutoencoder, x: Tensor, k: int) -> float:
    """FVU of a TopK SAE on raw activations (n, d), from its tensors alone, in float64."""
    p: dict[str, Any] = {name: tensor.double().numpy() for name, tensor in sae.state_dict().items()}
    x64 = x.double().numpy()
    h = (x64 - p["mean_d"]) / p["scale_d"] @ p["W_enc"] + p["b_enc"]
    threshold = np.sort(h, axis=-1)[:, -k, None]
    f = np.where((h >= threshold) & (h > 0), h, 0)
    x_hat = (f @ p["W_dec"] + p["b_dec"]) * p["scale_d"] + p["mean_d"]
    return float(((x64 - x_hat) ** 2).sum() / ((x64 - x64.mean(0)) ** 2).sum())


def one_line(err: str) -> str:
    """The one line on standard error that begins with the program's name; no traceback beside it."""
    assert "Traceback" not in err, err
    (line,) = (line for line in err.splitlines() if line.startswith("saev "))
    return line


def steps_done(run_dir: Path) -> int:
    """Steps that the checkpoint of a run has; 0 before there is one."""
    path = run_dir / "checkpoints" / "last.ckpt"
    return int(torch.load(path, weights_only=True)["global_step"]) if path.exists() else 0


def assert_same_run(run_dir: Path, undisturbed: Path) -> None:
    """A run of one SAE ends as the other one has: weights, metrics, curves and what is exported, to the last bit."""
    expected = weights(undisturbed)
    for name, tensor in weights(run_dir).items():
        assert torch.equal(tensor, expected[name]), name
    assert metrics(run_dir) == metrics(undisturbed)
    assert scalars(run_dir) == scalars(undisturbed)
    tensors = [only(path, "saes/*/sae.safetensors").read_bytes() for path in (run_dir, undisturbed)]
    assert tensors[0] == tensors[1]
    assert only(run_dir, "features/*/index.html").is_file()


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """The one line of a command that fails, with nothing on standard output; short enough to be read."""
    capsys.readouterr()
    assert main(argv) == status
    out, err = capsys.readouterr()
    assert out == ""
    line = one_line(err)
    assert len(line) < 700
    return line


def html_files(run_dir: Path) -> Iterator[Path]:
    """The galleries of a run."""
    return run_dir.glob("features/*/index.html")
