"""What comes after the last training step may fail, and costs nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch.loggers import TensorBoardLogger
from tests.cli.fitting import TWO, fit_options, html_files, one_line, only, sparse_acts
from tests.cli.spoiling import flip_bit
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards

from saev.artifacts import read_provenance
from saev.cli.main import main

Capture = pytest.CaptureFixture[str]
N_IMAGES = 51
SWEEP = "--model.sweep={seed: [0, 1]}"


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(N_IMAGES, d_model=16, grid=(3, 4), acts=sparse_acts(N_IMAGES, 13))[0]


def options(shards: Path, run_dir: Path, *more: str) -> list[str]:
    return fit_options(shards, run_dir, "--data.n_tokens=1280", "--data.val_share=0.2", *more)


@pytest.fixture(scope="module")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main(options(shards, run_dir, SWEEP)) == 0
    return run_dir


@pytest.fixture
def damaged(shards: Path, undisturbed: Path, tmp_path: Path) -> tuple[Path, Callable[[], None]]:
    """Shards with a flipped bit in the last image that is held out, and what flips it back."""
    copy = Path(shutil.copytree(shards, tmp_path / shards.name))
    image = int(held_out(undisturbed)[-1])
    flip_bit(copy, image)
    return copy, lambda: flip_bit(copy, image)


def held_out(run_dir: Path) -> list[int]:
    """The numbers of the images that a run did not train on."""
    (data, *_) = read_provenance(sorted(run_dir.glob("saes/*"))[0]).data
    numbers: list[int] = data.held_out.images(N_IMAGES).tolist()
    return numbers


def saes(run_dir: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in run_dir.glob("saes/*/sae.safetensors")}


@pytest.mark.parametrize(
    ("more", "n_told"),
    [
        ([SWEEP], 1),
        ([SWEEP, "--trainer.val_check_interval=5"], 4),
    ],
    ids=["at the end", "in between"],
)
def test_a_held_out_picture_that_is_damaged(
    more: list[str],
    n_told: int,
    damaged: tuple[Path, Callable[[], None]],
    undisturbed: Path,
    tmp_path: Path,
    capsys: Capture,
) -> None:
    shards, mend = damaged
    run_dir = tmp_path / "run"
    argv = options(shards, run_dir, *more)
    for again in (argv, [*argv, "--ckpt_path=last"]):
        capsys.readouterr()
        assert main(again) == 1
        out, err = capsys.readouterr()
        assert out == ""
        line = one_line(err)
        assert line.startswith(f"saev fit: error: {run_dir}: the SAEs are trained and saved, but the validation has")
        assert f"(`saev validate --run_dir {run_dir}` tries again): {shards}/acts" in line
        assert err.count("steps has failed: ") == (n_told if again is argv else n_told % 3)
        assert saes(run_dir) == saes(undisturbed)
        assert list(run_dir.rglob("last.ckpt"))
        assert len(list(html_files(run_dir))) == 2
        assert not any('"val"' in path.read_text() for path in run_dir.glob("saes/*/metrics.json"))
        assert not (run_dir / "sweep.csv").exists()
    assert main(["validate", f"--run_dir={run_dir}", "--trainer.accelerator=cpu"]) == 1
    assert "is damaged: its xxh3-64" in one_line(capsys.readouterr().err.replace(line, ""))
    mend()
    assert main([*argv, "--ckpt_path=last"]) == 0
    assert saes(run_dir) == saes(undisturbed)
    assert (run_dir / "sweep.csv").read_text() == (undisturbed / "sweep.csv").read_text()


@pytest.mark.slow
def test_damage_that_one_of_two_processes_meets_leaves_none_waiting(
    damaged: tuple[Path, Callable[[], None]], undisturbed: Path, tmp_path: Path
) -> None:
    run_dir, shards = tmp_path / "run", damaged[0]
    # The last images are those of the second process, in validation as in the galleries.
    last_trained = max({*range(N_IMAGES)} - {*held_out(undisturbed)})
    spoil = {"class_path": "tests.cli.spoiling.SpoilAfterTraining", "init_args": {"shards": str(shards)}}
    spoil["init_args"]["image"] = last_trained
    more = [*TWO, "--trainer.val_check_interval=10"]
    argv = options(shards, run_dir, *more, f"--trainer.callbacks=[{json.dumps(spoil)}]")
    status, out, err = finish(start(argv))
    assert (status, out) == (1, ""), err
    *lines, last = err.splitlines()
    assert (
        last == f"saev fit: error: {run_dir}: the SAEs are trained and saved, but 2 things have failed, which the "
        "lines above tell"
    )
    for fault in ("the galleries could not", f"the validation has failed (`saev validate --run_dir {run_dir}` tries"):
        assert [line for line in lines if line.startswith(fault)], err
    assert err.count("steps has failed: ") == 2
    assert "Traceback" not in err
    assert only(run_dir, "saes/*/sae.safetensors").is_file()
    assert (run_dir / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize("fault", ["table", "TensorBoard"])
def test_a_comparison_that_cannot_be_written(
    fault: str, shards: Path, undisturbed: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    run_dir = tmp_path / "run"
    capsys.readouterr()
    with monkeypatch.context() as patch:
        if fault == "table":
            patch.setattr("saev.callbacks.sweep_report.pareto_plot", full)
        else:
            patch.setattr(TensorBoardLogger, "log_hyperparams", full)
        assert main(options(shards, run_dir, SWEEP)) == 1
    err = capsys.readouterr().err
    said = "the SAEs cannot be compared" if fault == "table" else "TensorBoard's table of hyperparameters cannot be"
    assert said in one_line(err)
    assert "No space left on device" in one_line(err)
    assert "all figures: " in err
    assert saes(run_dir) == saes(undisturbed)
    assert len(list(html_files(run_dir))) == 2
    assert all('"val"' in path.read_text() for path in run_dir.glob("saes/*/metrics.json"))


def test_galleries_that_cannot_be_made_after_a_test_cost_no_figures(
    shards: Path, undisturbed: Path, tmp_path: Path, capsys: Capture
) -> None:
    run_dir = Path(shutil.copytree(undisturbed, tmp_path / "run"))
    shutil.rmtree(run_dir / "features")  # a further image set would have the latents of the first
    capsys.readouterr()
    argv = ["test", f"--run_dir={run_dir}", f"--data.shards={shards}", "--trainer.accelerator=cpu"]
    assert main([*argv, "--visualizer.log_freq_range=[3, 4]"]) == 1
    err = capsys.readouterr().err
    assert "the galleries could not be made (saev render tries again)" in one_line(err)
    assert "all figures: " in err
    assert all('"test"' in path.read_text() for path in run_dir.glob("saes/*/metrics.json"))
