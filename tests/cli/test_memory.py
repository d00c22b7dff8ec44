"""What does not fit memory is refused before the start where that is certain, and is one line where it is met."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.fitting import fit_options, only, refusal
from tests.conftest import MakeShards

from saev.cli.main import main
from saev.modules import SAELightningModule
from saev.training.spec import BYTES_OF_PARAMETER, MODEL_SHARE

Capture = pytest.CaptureFixture[str]
SWEEP = ["--model.sweep={seed: [0, 1]}"]


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards()[0]


@pytest.mark.parametrize("sae", ["TopK", "Archetypal", "Gated", "JumpReLU", "MatchingPursuit", "Matryoshka", "ReLU"])
def test_an_sae_that_nobody_has_memory_for(shards: Path, tmp_path: Path, sae: str, capsys: Capture) -> None:
    for d_sae in (10**12, 2**53):
        large = [f"--model.sae={sae}", f"--model.sae.d_sae={d_sae}"]
        said = refusal(fit_options(shards, tmp_path / "run", sae=large), capsys)
        assert "fewer latents (d_sae)" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "n_bytes"),
    [
        # 48 latents of width 8: W_enc, W_dec, b_enc, b_dec; a batch twice.
        ([], 16 * (2 * 48 * 8 + 48 + 8) + 2 * 4 * 8 * 64),
        (SWEEP, 2 * 16 * (2 * 48 * 8 + 48 + 8) + 2 * 4 * 8 * 64),
        (["--data.batch_size=1024"], 16 * (2 * 48 * 8 + 48 + 8) + 2 * 4 * 8 * 1024),
    ],
)
def test_training_is_compared_with_what_is_free(
    shards: Path, tmp_path: Path, options: list[str], n_bytes: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = 4 * (2 * 48 * 8 + 48 + 8) * (2 if options == SWEEP else 1)
    free = n_bytes - built
    monkeypatch.setattr("saev.training.memory_need.known_free_memory", lambda: (free, "this machine"))
    argv = fit_options(shards, tmp_path / "run", *options, "--data.buffer_gib=0.001")
    assert main(argv) == 0
    free -= 1
    said = refusal([*argv, f"--run_dir={tmp_path / 'other'}"], capsys)
    assert "gradients and Adam's moments" in said
    assert "are free on this machine" in said
    assert not (tmp_path / "other").exists()


def test_a_sweep_that_does_not_fit_is_told_which_part_does(
    shards: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TopK with 48 latents of width 8: training of three surely fits, beside the weights of all, which are there.
    n_parameters = 2 * 48 * 8 + 48 + 8
    free = 3 * int(BYTES_OF_PARAMETER * n_parameters / MODEL_SHARE) + 10 - 16 * 4 * n_parameters
    monkeypatch.setattr("saev.training.memory_need.known_free_memory", lambda: (free, "this machine"))
    sweep = "--model.sweep={sae.k: [2, 4, 6, 8], seed: [0, 1], lr: [1e-3, 2e-3]}"
    said = refusal(fit_options(shards, tmp_path / "run", sweep), capsys)
    part = '{"sae.k": [2], "seed": [0], "lr": [0.001, 0.002]}'
    assert "topk-d_sae48-k2-seed0-lr0.001 and 15 more at the same time: training takes" in said
    assert said.endswith(f"3 of them fit: train the sweep in several runs, the first one with --model.sweep '{part}'")
    assert not (tmp_path / "run").exists()
    assert main(fit_options(shards, tmp_path / "run", f"--model.sweep={part}")) == 0


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main(fit_options(shards, run_dir)) == 0
    return run_dir


@pytest.mark.parametrize("command", ["validate", "test", "render"])
def test_an_sae_that_does_not_fit_is_not_loaded(
    run: Path, command: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saev.free_memory.known_free_memory", lambda: (100, "this machine"))
    said = refusal([command, f"--run_dir={run}", "--trainer.accelerator=cpu"], capsys)
    assert "of memory, 100 bytes are free on this machine" in said


def test_sizes_in_config_json_are_those_of_the_file(run: Path, capsys: Capture) -> None:
    path = only(run, "saes/*/config.json")
    text = path.read_text()
    try:
        for d_sae in (10**12, 2**53, 47):
            path.write_text(json.dumps(json.loads(text) | {"d_sae": d_sae}))
            said = refusal(["test", f"--run_dir={run}", "--trainer.accelerator=cpu"], capsys)
            assert "sae.safetensors: W_dec has the shape" in said
    finally:
        path.write_text(text)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_is_one_line(
    shards: Path, tmp_path: Path, error: Exception, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(SAELightningModule, "training_step", fail)
    said = refusal(fit_options(shards, tmp_path / "run"), capsys)
    assert "memory ran out" in said
    assert "--data.batch_size" in said
