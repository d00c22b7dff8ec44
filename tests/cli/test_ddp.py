"""Two processes train as one does."""

from pathlib import Path

import pytest
import torch
from tests.cli.fitting import finish, fit_options, metrics, only, scalars, sparse_acts, start, weights
from tests.conftest import MakeShards

from saev.cli.main import main

pytestmark = pytest.mark.slow

TWO = ["--trainer.devices=2", "--trainer.strategy=ddp"]


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(51, d_model=16, grid=(3, 4), acts=sparse_acts(51, 13))[0]


def test_two_processes_train_as_one(shards: Path, tmp_path: Path) -> None:
    # One held-out image: a process has nothing to validate and must not leave the other one waiting.
    more = ["--data.val_share=0.02", "--model.dead_after=640", "--trainer.gradient_clip_val=1"]
    one, two = tmp_path / "one", tmp_path / "two"
    process = start(fit_options(shards, two, *more, *TWO))
    assert main(fit_options(shards, one, *more)) == 0
    status, out, err = finish(process)
    assert (status, out) == (0, f"{two}\n"), err
    assert "sync_dist" not in err
    assert len(list(two.glob("events*"))) == 1
    expected, found = weights(one), weights(two)
    # Sums over half batches are rounded differently; Adam's first steps make more of it.
    for name in expected:
        torch.testing.assert_close(
            found[name], expected[name], rtol=1e-3, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}"
        )
    assert torch.equal(found["members.0.silent_tokens_s"], expected["members.0.silent_tokens_s"])
    for name, value in metrics(one)["val"].items():
        assert metrics(two)["val"][name] == pytest.approx(value, rel=1e-3), name
    steps = [[step for step, _ in scalars(run)["train/loss"]] for run in (one, two)]
    assert steps[0] == steps[1]
    assert only(two, "features/*/index.html").is_file()


def test_a_batch_that_cannot_be_divided(shards: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    status, out, err = finish(start(fit_options(shards, run_dir, "--data.batch_size=63", *TWO)))
    assert status != 0
    assert out == ""
    lines = {line for line in err.splitlines() if line.startswith("saev ")}  # one of each process
    assert lines == {"saev fit: error: a batch of 63 tokens cannot be divided among 2 processes"}
    assert "Traceback" not in err
    assert not run_dir.exists()
