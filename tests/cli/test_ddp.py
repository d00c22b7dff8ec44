"""Two processes train as one does."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.fitting import TWO, assert_close, fit_options, metrics, only, scalars, sparse_acts, weights
from tests.cli.zygote import finish, start, start_interpreter
from tests.conftest import MakeShards

from saev.cli.main import main
from saev.gallery.scripts import read_script

pytestmark = pytest.mark.slow


def test_two_processes_train_as_one(shards: Path, tmp_path: Path) -> None:
    # One held-out image: a process has nothing to validate and must not leave the other one waiting.
    more = ["--data.val_share=0.02", "--model.dead_after=640", "--trainer.gradient_clip_val=1"]
    one, two = tmp_path / "one", tmp_path / "two"
    process = start_interpreter(fit_options(shards, two, *more, *TWO))
    assert main(fit_options(shards, one, *more)) == 0
    status, out, err = finish(process)
    assert (status, out) == (0, f"{two}\n"), err
    assert "sync_dist" not in err
    assert len(list(two.glob("events*"))) == 1
    expected, found = weights(one), weights(two)
    assert_close(found, expected)
    assert torch.equal(found["members.0.silent_tokens_s"], expected["members.0.silent_tokens_s"])
    for name, value in metrics(one)["val"].items():
        assert metrics(two)["val"][name] == pytest.approx(value, rel=1e-3), name
    steps = [[step for step, _ in scalars(run)["train/loss"]] for run in (one, two)]
    assert steps[0] == steps[1]
    assert only(two, "features/*/index.html").is_file()


def data_of(gallery: Path) -> dict[str, Any]:
    """The values of the latents' data scripts, by name."""
    return {path.name: read_script(path.read_text(encoding="ascii")) for path in gallery.glob("data/latents/*.js")}


def test_two_processes_show_what_one_does(shards: Path, make_shards: MakeShards, tmp_path: Path) -> None:
    labels = torch.randint(0, 3, (21, 12), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
    acts = sparse_acts(51, 13)[:21]
    others = make_shards(21, d_model=16, grid=(3, 4), acts=acts, labels=labels, images="1" * 64)[0]
    one, two = tmp_path / "one", tmp_path / "two"
    assert main(fit_options(shards, one)) == 0
    shutil.rmtree(one / "features")  # the next gallery is then the first, and chooses its own latents
    shutil.copytree(one, two)
    argv = ["test", f"--data.shards={others}", "--visualizer.n_latents=-1", "--trainer.accelerator=cpu"]
    assert main([*argv, f"--run_dir={one}"]) == 0
    status, _, err = finish(start([*argv, f"--run_dir={two}", *TWO]))
    assert status == 0, err
    expected, found = data_of(only(one, "features/*")), data_of(only(two, "features/*"))
    assert len(expected) > 20
    assert found.keys() == expected.keys()
    for name, page in expected.items():
        other = found[name]
        for key in ("histogram", "labels", "patchLabels", "coactive"):
            assert other[key] == page[key], (name, key)
        for order, examples in page["top"].items():
            assert [image for image, _ in other["top"][order]] == [image for image, _ in examples], (name, order)
            assert [value for _, value in other["top"][order]] == pytest.approx([v for _, v in examples], rel=1e-4)
        assert {image for group in other["samples"] for image, _ in group["examples"]} == {
            image for group in page["samples"] for image, _ in group["examples"]
        }


def test_a_batch_that_cannot_be_divided(shards: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    status, out, err = finish(start(fit_options(shards, run_dir, "--data.batch_size=63", *TWO)))
    assert status != 0
    assert out == ""
    lines = {line for line in err.splitlines() if line.startswith("saev ")}  # one of each process
    assert lines == {"saev fit: error: a batch of 63 tokens cannot be divided among 2 processes"}
    assert "Traceback" not in err
    assert not run_dir.exists()
