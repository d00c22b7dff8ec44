"""A disk that takes no more of a run: one line with what is needed and free, and the same command goes on."""

import errno
import os
import re
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.disks import PAGE, Disk, disk
from tests.cli.fitting import fit_options, metrics, only, refusal, scalars, sparse_acts
from tests.conftest import MakeShards

from saev.cli.main import main

__all__ = ["disk"]
Capture = pytest.CaptureFixture[str]
NEEDED = r"\(\d+ bytes\) or more are needed, .* \(\d+ bytes\) are free"


@pytest.fixture(scope="module")
def options(make_shards: MakeShards) -> list[str]:
    """A run whose checkpoints have 0.83 MB, its export 0.3 MB, its gallery 0.5 MB."""
    shards, _ = make_shards(40, d_model=16, acts=sparse_acts(40, 7))
    more = ["--model.sae.d_sae=2048", "--visualizer.n_latents=100"]
    return fit_options(shards, Path("nowhere"), *more)


@pytest.mark.parametrize("n_kb", [4, 64, 1000, 1800])
def test_what_does_not_fit_is_said_before_the_start(n_kb: int, disk: Disk, options: list[str], capsys: Capture) -> None:
    run_dir = disk(n_kb * 1024 // PAGE) / "run"
    said = refusal([*options, f"--run_dir={run_dir}"], capsys)
    assert re.search(r"has .* \(\d+ bytes\) free, but the run needs 2\.94 MB \(\d+ bytes\) or more", said), said
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("n_kb", "every", "path", "is_begun"),
    [
        (4, 20, "config.yaml", False),
        (64, 20, "checkpoints/last.ckpt", False),
        (1000, 20, "checkpoints/last.ckpt", True),
        (1000, 40, "sae.safetensors", True),
        (1800, 20, "features/topk-d_sae2048-k4", True),
    ],
    ids=["configuration", "checkpoint", "next checkpoint", "export", "gallery"],
)
def test_what_others_take_meanwhile(
    n_kb: int,
    every: int,
    path: str,
    is_begun: bool,
    disk: Disk,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    with monkeypatch.context() as context:
        context.setattr("saev.cli.train.check_space", lambda *_: None)  # there was room then
        run_dir = disk(n_kb * 1024 // PAGE) / "run"
        argv = [*options, f"--run_dir={run_dir}", f"--checkpoint.every_n_steps={every}"]
        said = refusal(argv, capsys)
    assert re.search(rf"{path} cannot be written \(No space left on device\): .* {NEEDED}", said), said
    disk(10**8 // PAGE)
    if is_begun:
        last = run_dir / "checkpoints" / "last.ckpt"
        assert torch.load(last, weights_only=True)["global_step"] in (20, 40)
        argv.append("--ckpt_path=last")
    else:
        assert not run_dir.exists()
    assert main(argv) == 0
    assert metrics(run_dir)["val"]["fvu"] < 1
    assert only(run_dir, "features/*/index.html").is_file()
    assert not list(run_dir.rglob("*.partial"))


def test_a_limit_on_the_size_of_files(options: list[str], tmp_path: Path, capsys: Capture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        said = refusal([*options, f"--run_dir={tmp_path / 'run'}"], capsys)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "last.ckpt cannot be written (File too large): " in said
    assert "raise the limit on file sizes (ulimit -f)" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("n_events", [0, 2])
def test_curves_that_the_disk_does_not_take_cost_no_run(
    n_events: int, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    write, n_written = os.write, [0]

    def full(fd: int, data: Any) -> int:
        if "events.out" not in Path(f"/proc/self/fd/{fd}").readlink().name:
            return write(fd, data)
        n_written[0] += 1
        if n_written[0] <= n_events:
            return write(fd, data)
        write(fd, data[:7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    capsys.readouterr()
    assert main([*options, f"--run_dir={tmp_path}"]) == 0
    err = capsys.readouterr().err
    assert err.count("TensorBoard gets no more of this run, which goes on: ") == 1
    assert "No space left on device" in err
    assert len([value for values in scalars(tmp_path).values() for value in values]) == max(0, n_events - 1)
