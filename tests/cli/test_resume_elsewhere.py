"""A run that goes on with another number of processes, or on a machine with another amount of memory."""

import re
from pathlib import Path

import pytest
import torch
from tests.cli.fitting import SAVE_OFTEN, TWO, fit_options, one_line, only, sparse_acts, steps_done, weights
from tests.cli.killing import kill_after
from tests.cli.stopping import StopError
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards

from saev.cli.main import main

pytestmark = pytest.mark.slow

N_STEPS = 120


@pytest.fixture(scope="module", params=["4.8e-5", "1"], ids=["streamed", "resident"])
def options(
    make_shards: MakeShards, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> list[str]:
    shards, _ = make_shards(50, d_model=16, grid=(3, 4), acts=sparse_acts(50, 13))
    more = [f"--data.buffer_gib={request.param}", f"--data.n_tokens={64 * N_STEPS}", SAVE_OFTEN, "--model.lr=1e-3"]
    return fit_options(shards, tmp_path_factory.mktemp("runs") / "undisturbed", *more, "--model.restarts=0")


@pytest.fixture(scope="module")
def undisturbed(options: list[str]) -> dict[str, torch.Tensor]:
    assert main(options) == 0
    return weights(Path(options[2].partition("=")[2]))


@pytest.mark.parametrize(("before", "after"), [([], TWO), (TWO, [])], ids=["one then two", "two then one"])
def test_another_number_of_processes(
    options: list[str], undisturbed: dict[str, torch.Tensor], tmp_path: Path, before: list[str], after: list[str]
) -> None:
    argv = [*options, f"--run_dir={tmp_path / 'run'}"]
    kill_after([*argv, *before], tmp_path / "run", 20, N_STEPS)
    status, _, err = finish(start([*argv, *after, "--ckpt_path=last"]))
    assert status == 0, err
    # Sums over half batches are rounded differently.
    found = weights(tmp_path / "run")
    for name, tensor in undisturbed.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-2, atol=1e-3, msg=lambda m, name=name: f"{name}: {m}")


def test_another_amount_of_memory(make_shards: MakeShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --data.buffer_gib the run goes on with the memory that it was begun with."""
    shards, _ = make_shards(50, d_model=16, grid=(3, 4), acts=sparse_acts(50, 13))
    argv = fit_options(shards, tmp_path / "run", SAVE_OFTEN)
    monkeypatch.setattr("saev.training.data.buffer.free_memory", lambda: (110_000, "this machine"))
    assert main([*argv, f"--run_dir={tmp_path / 'whole'}"]) == 0
    stop = ["--trainer.callbacks=tests.cli.stopping.StopBefore", "--trainer.callbacks.step=17"]
    with pytest.raises(StopError):
        main([*argv, *stop])
    checkpoint = steps_done(tmp_path / "run")
    monkeypatch.setattr("saev.training.data.buffer.free_memory", lambda: (10**10, "this machine"))
    assert main([*argv, "--ckpt_path=last"]) == 0
    expected = weights(tmp_path / "whole")
    assert 0 < checkpoint < 40
    for name, tensor in weights(tmp_path / "run").items():
        assert torch.equal(tensor, expected[name]), name


STUCK = """
import threading
import saev.modules
from saev.shards.reading import unit_reads
read_all, step = unit_reads.read_all, saev.modules.SAELightningModule.training_step
begins = threading.Event()
def wait(*args):
    if begins.is_set():
        threading.Event().wait()
    return read_all(*args)
def training_step(module, *args):
    if module.trainer.global_step == 7:
        begins.set()
    return step(module, *args)
unit_reads.read_all = wait
saev.modules.SAELightningModule.training_step = training_step
"""


def test_a_stuck_disk_ends_the_run(make_shards: MakeShards, tmp_path: Path) -> None:
    shards, _ = make_shards(50, d_model=16, grid=(3, 4), acts=sparse_acts(50, 13))
    argv = fit_options(shards, tmp_path / "run", SAVE_OFTEN, "--data.buffer_gib=4.8e-5", "--data.timeout=0.5")
    status, out, err = finish(start(argv, STUCK))
    assert (status, out) == (1, ""), err
    assert re.search(rf"nothing could be read for 0.5 seconds from {shards}: look at", one_line(err))
    assert steps_done(tmp_path / "run") == 5
    assert main([*argv, "--ckpt_path=last"]) == 0
    assert only(tmp_path / "run", "saes/*/config.json").is_file()
