"""A run goes on from a checkpoint that is whole, and from no other."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.fitting import fit_options, one_line, weights
from tests.conftest import MakeShards

from saev.callbacks import DurableCheckpointIO
from saev.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40)[0]


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    assert main(fit_options(shards, run_dir)) == 0
    return run_dir


def copied(finished: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run directory, and its checkpoint."""
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    return run_dir, run_dir / "checkpoints" / "last.ckpt"


def go_on(shards: Path, run_dir: Path, capsys: Capture, status: int) -> str:
    """Go on with a run that must end with this status; what it says."""
    capsys.readouterr()
    assert main(fit_options(shards, run_dir, "--ckpt_path=last")) == status
    return capsys.readouterr().err


def test_one_bit(shards: Path, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    run_dir, last = copied(finished, tmp_path)
    data = bytearray(last.read_bytes())
    weight = weights(run_dir)["members.0.sae.W_dec"].numpy().tobytes()
    data[data.index(weight) + 5] ^= 1
    last.write_bytes(data)
    said = one_line(go_on(shards, run_dir, capsys, 1))
    assert f"the checkpoint {last} is damaged: its digest is " in said
    assert "start a new run" in said


def test_a_damaged_digest(shards: Path, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    run_dir, last = copied(finished, tmp_path)
    last.with_name("last.ckpt.xxh3").write_bytes(b"\xff\n")
    assert "last.ckpt.xxh3 holds no digest: remove it to go on" in one_line(go_on(shards, run_dir, capsys, 1))


def test_a_checkpoint_that_was_copied_alone(shards: Path, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    run_dir, last = copied(finished, tmp_path)
    last.with_name("last.ckpt.xxh3").unlink()
    assert f"{last} is read unchecked: its digest last.ckpt.xxh3 is not beside it" in go_on(shards, run_dir, capsys, 0)


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda checkpoint: checkpoint.pop(name)


LACKING: dict[str, Callable[[dict[str, Any]], object]] = {
    "state_dict": without("state_dict"),
    "state_dict: members.0.silent_tokens_s, ": lambda c: c["state_dict"].clear(),
    "state_dict: members.0.sae.b_dec of shape (8,) (it has (7,))": lambda c: c["state_dict"].update(
        {"members.0.sae.b_dec": torch.zeros(7)}
    ),
    "saev_settings": without("saev_settings"),
    "optimizer_states": without("optimizer_states"),
    "the one entry of optimizer_states (it has 0)": lambda c: c["optimizer_states"].clear(),
    "optimizer_states for members.0.sae.W_dec: exp_avg": lambda c: c["optimizer_states"][0]["state"].clear(),
    "the one entry of lr_schedulers (it has 0)": lambda c: c["lr_schedulers"].clear(),
    "ShardDataModule": without("ShardDataModule"),
    "loops: epoch_loop.batch_progress": lambda c: c["loops"]["fit_loop"].pop("epoch_loop.batch_progress"),
}


@pytest.mark.parametrize("lacking", LACKING)
def test_what_is_missing_is_named(shards: Path, finished: Path, tmp_path: Path, capsys: Capture, lacking: str) -> None:
    run_dir, last = copied(finished, tmp_path)
    config = (run_dir / "config.yaml").read_bytes()
    checkpoint = torch.load(last, weights_only=True)
    LACKING[lacking](checkpoint)
    DurableCheckpointIO().save_checkpoint(checkpoint, last)
    said = one_line(go_on(shards, run_dir, capsys, 1))
    assert f"the checkpoint lacks {lacking}" in said
    assert (run_dir / "config.yaml").read_bytes() == config


def test_the_checkpoint_of_another_version(shards: Path, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    run_dir, last = copied(finished, tmp_path)
    checkpoint = torch.load(last, weights_only=True)
    for settings in checkpoint["saev_settings"]:
        del settings["precision"]
    DurableCheckpointIO().save_checkpoint(checkpoint, last)
    said = one_line(go_on(shards, run_dir, capsys, 1))
    assert "another version of saev, which did not note precision: go on with that version, or start a new run" in said


@pytest.mark.parametrize("has_digest", [True, False], ids=["with its digest", "copied alone"])
def test_a_kill_between_any_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_digest: bool) -> None:
    """Whichever call the last one was: there is a checkpoint that its digest fits, the old one or the new one."""

    class KilledError(BaseException):
        pass

    checkpoints = DurableCheckpointIO()
    done = False
    n_calls = 0
    while not done:
        path = tmp_path / str(n_calls) / "last.ckpt"
        checkpoints.save_checkpoint({"loops": 1}, path)
        if not has_digest:
            path.with_name("last.ckpt.xxh3").unlink()
        with monkeypatch.context() as patch:
            left = n_calls

            def counted(call: Callable[..., Any]) -> Callable[..., Any]:
                def counting(*args: Any, **kwargs: Any) -> Any:
                    nonlocal left
                    if left == 0:
                        raise KilledError
                    left -= 1
                    return call(*args, **kwargs)

                return counting

            for name in ("replace", "fsync", "open"):
                patch.setattr(os, name, counted(getattr(os, name)))
            try:
                checkpoints.save_checkpoint({"loops": 2}, path)
                done = True
            except KilledError:
                n_calls += 1
        found = checkpoints.load_checkpoint(path)["loops"]
        assert found == 2 if done else found in (1, 2)
        checkpoints.save_checkpoint({"loops": 3}, path)
        assert checkpoints.load_checkpoint(path) == {"loops": 3}
        assert len((path.parent / "last.ckpt.xxh3").read_text().split()) == 1
    assert n_calls > 6
