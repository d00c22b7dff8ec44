"""A killed run that goes on ends as if nothing had happened."""

import os
import stat
from pathlib import Path

import pytest
import torch
from tests.cli.fitting import SAVE_OFTEN, assert_same_run, fit_options, metrics, only, sparse_acts, steps_done, weights
from tests.cli.killing import kill_after
from tests.conftest import MakeShards

from saev.callbacks import DurableCheckpointIO
from saev.cli.main import main
from saev.errors import InputError
from saev.modules import SAELightningModule

N_STEPS = 120


@pytest.fixture(scope="module", params=["4.8e-5", "1"], ids=["streamed", "resident"])
def options(
    make_shards: MakeShards, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> list[str]:
    """Several epochs of the data in the run, dead latents and the auxiliary loss."""
    shards, _ = make_shards(50, d_model=16, grid=(3, 4), acts=sparse_acts(50, 13))
    more = [
        "--model.dead_after=640",
        f"--data.buffer_gib={request.param}",
        f"--data.n_tokens={64 * N_STEPS}",
        SAVE_OFTEN,
    ]
    return fit_options(shards, tmp_path_factory.mktemp("runs") / "undisturbed", "--model.sae.d_sae=256", *more)


@pytest.fixture(scope="module")
def undisturbed(options: list[str]) -> Path:
    """The finished run."""
    assert main(options) == 0
    return Path(options[2].partition("=")[2])


@pytest.mark.slow
def test_killed_twice(options: list[str], undisturbed: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    argv = [*options, f"--run_dir={run_dir}"]
    kill_after(argv, run_dir, 5, N_STEPS)
    go_on = [*argv, "--ckpt_path=last"]
    kill_after(go_on, run_dir, 60, N_STEPS)
    assert main(go_on) == 0
    assert_same_run(run_dir, undisturbed)


def test_a_finished_run_that_goes_on_is_rendered_again(undisturbed: Path, options: list[str]) -> None:
    before, found = weights(undisturbed), metrics(undisturbed)
    page = only(undisturbed, "features/*/index.html")
    page.unlink()
    assert main([*options, "--ckpt_path=last"]) == 0
    assert page.is_file()
    assert metrics(undisturbed) == found
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(undisturbed).items())


def test_a_run_that_was_stopped_in_its_validation(
    undisturbed: Path, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopError(Exception):
        pass

    def stop(module: SAELightningModule) -> None:
        raise StopError

    run_dir = tmp_path / "run"
    argv = [*options, f"--run_dir={run_dir}"]
    with monkeypatch.context() as patch, pytest.raises(StopError):
        patch.setattr(SAELightningModule, "on_validation_epoch_end", stop)
        main(argv)
    assert steps_done(run_dir) == N_STEPS
    assert main([*argv, "--ckpt_path=last"]) == 0
    assert all(torch.equal(tensor, weights(undisturbed)[name]) for name, tensor in weights(run_dir).items())
    assert metrics(run_dir) == metrics(undisturbed)


def test_a_checkpoint_by_its_name(undisturbed: Path, options: list[str], tmp_path: Path) -> None:
    last = undisturbed / "checkpoints" / "last.ckpt"
    run_dir = tmp_path / "run"
    assert main([*options, f"--run_dir={run_dir}", f"--ckpt_path={last}"]) == 0
    tensors = [only(path, "saes/*/sae.safetensors").read_bytes() for path in (run_dir, undisturbed)]
    assert tensors[0] == tensors[1]
    assert main(["validate", f"--run_dir={run_dir}"]) == 0
    assert metrics(run_dir) == metrics(undisturbed)


def test_a_checkpoint_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    checkpoints = DurableCheckpointIO()
    checkpoints.save_checkpoint({"loops": 1}, path)
    synced: list[str] = []

    def fail(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(InputError, match=r"last.ckpt.* cannot be written \(No space left on device\)"):
        checkpoints.save_checkpoint({"loops": 2}, path)
    assert Path(synced[0]).parent == path.parent
    assert checkpoints.load_checkpoint(path, weights_only=True) == {"loops": 1}
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["last.ckpt", "last.ckpt.xxh3"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(InputError, match="Permission denied"):
        DurableCheckpointIO().save_checkpoint({}, tmp_path / "last.ckpt")
