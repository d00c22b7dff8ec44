"""One command at a time writes to a run directory."""

from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, only, refusal
from tests.cli.processes import tree
from tests.conftest import MakeShards

from saev.cli.main import main
from saev.cli.runs.lock import LOCK, alone_in
from saev.modules import SAELightningModule

Capture = pytest.CaptureFixture[str]
SAID = "another saev command is at work in it: wait for it or stop it"


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40)[0]


def refused(argv: list[str], capsys: Capture) -> None:
    assert refusal(argv, capsys).endswith(SAID)


def test_fit_is_alone_in_its_directory(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    run_dir = tmp_path / "run"
    argv = fit_options(shards, run_dir, "--checkpoint.every_n_steps=5")
    step, tried = SAELightningModule.training_step, []

    def training_step(module: SAELightningModule, *args: object) -> object:
        if module.trainer.global_step == 20:
            before = tree(run_dir)
            for other in (argv, [*argv, "--ckpt_path=last"], ["validate", f"--run_dir={run_dir}"]):
                refused(other, capsys)
                tried.append(other)
            assert tree(run_dir) == before
        return step(module, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(SAELightningModule, "training_step", training_step)
    assert main(argv) == 0
    assert len(tried) == 3
    assert not (run_dir / LOCK).exists()


def test_two_commands_on_a_finished_run(shards: Path, tmp_path: Path, capsys: Capture) -> None:
    run_dir = tmp_path / "run"
    assert main(fit_options(shards, run_dir)) == 0
    argvs = [
        [command, f"--run_dir={run_dir}", "--trainer.accelerator=cpu"] for command in ("validate", "test", "render")
    ]
    with alone_in(run_dir):
        before = tree(run_dir)
        for argv in argvs:
            refused(argv, capsys)
        assert tree(run_dir) == before
    (run_dir / LOCK).touch()  # a killed process left it
    assert main(argvs[0]) == 0
    assert not (run_dir / LOCK).exists()


def test_a_lock_that_a_killed_run_left(shards: Path, tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    assert main(fit_options(shards, tmp_path)) == 0
    assert only(tmp_path, "saes/*/config.json").is_file()
    assert not (tmp_path / LOCK).exists()
