"""Sweeps through the command line."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import load_file
from tests.cli.fitting import TWO, assert_close, fit_options, html_files, one_line, scalars
from tests.cli.zygote import finish, start

import saev
from saev.cli.main import main
from saev.metrics import stability

SWEEP = "--model.sweep={sae.k: [2, 4], seed: [0, 1]}"
MORE = ["--data.n_tokens=5120", "--trainer.gradient_clip_val=0.5", "--model.dead_after=640", "--data.val_share=0.2"]
BATCH_TOPK = ["--model.sae=BatchTopK", "--model.sae.d_sae=48"]
NAMES = [f"topk-d_sae48-k{k}-seed{seed}" for k in (2, 4) for seed in (0, 1)]


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "sweep"
    assert main(fit_options(shards, run_dir, *MORE, SWEEP)) == 0
    return run_dir


def weights_of(run_dir: Path, name: str) -> bytes:
    return (run_dir / "saes" / name / "sae.safetensors").read_bytes()


def table(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_sae_gets_its_own_results(run: Path) -> None:
    assert sorted(path.name for path in (run / "saes").iterdir()) == NAMES
    assert sorted(path.parent.name for path in html_files(run)) == NAMES
    for name in NAMES:
        assert {"train/loss", "val/fvu", "val/l0"} <= set(scalars(run / "logs" / name))
    assert len({weights_of(run, name) for name in NAMES}) == 4


def test_a_sae_of_a_sweep_equals_the_one_trained_alone(shards: Path, tmp_path: Path) -> None:
    """Those of each architecture: tests/training/test_sweep.py."""
    sweep = "--model.sweep={seed: [0, 1], lr: [1e-3, 3e-3]}"
    assert main(fit_options(shards, tmp_path / "sweep", *MORE, sweep, sae=BATCH_TOPK)) == 0
    alone = ["--model.seed=1", "--model.lr=1e-3"]
    assert main(fit_options(shards, tmp_path / "alone", *MORE, *alone, sae=BATCH_TOPK)) == 0
    (expected,) = (tmp_path / "alone" / "saes").glob("*/sae.safetensors")
    (found,) = (tmp_path / "sweep" / "saes").glob("*-seed1-lr0.001/sae.safetensors")
    assert found.read_bytes() == expected.read_bytes()


def test_the_sweep_is_compared(run: Path) -> None:
    rows = table(run)
    assert sorted(row["name"] for row in rows) == NAMES
    assert [float(row["l0"]) for row in rows] == sorted(float(row["l0"]) for row in rows)
    for row in rows:
        beaten = [o for o in rows if float(o["l0"]) <= float(row["l0"]) and float(o["fvu"]) < float(row["fvu"])]
        assert row["on_front"] == str(int(not beaten))
    for name, other in ((NAMES[0], NAMES[1]), (NAMES[3], NAMES[2])):
        expected = stability(*(saev.load(run / "saes" / one).W_dec for one in (name, other))).matched
        (row,) = (row for row in rows if row["name"] == name)
        assert float(row["stability"]) == pytest.approx(expected)
    with Image.open(run / "sweep.png") as picture:
        assert picture.size == (960, 600)


def test_validate_keeps_the_stability_of_saes_that_do_not_say_how_they_were_trained(run: Path, tmp_path: Path) -> None:
    old = tmp_path / "run"
    shutil.copytree(run, old)
    for path in old.glob("saes/*/config.json"):
        config = json.loads(path.read_text())
        del config["about"]["training"]
        path.write_text(json.dumps(config))
    assert main(["validate", f"--run_dir={old}"]) == 0
    columns = [[(row["name"], row["stability"]) for row in table(one)] for one in (old, run)]
    assert columns[0] == columns[1]
    (old / "sweep.csv").write_text("name,stability\nx\n")
    assert main(["validate", f"--run_dir={old}"]) == 0
    assert "stability" not in table(old)[0]


def test_all_saes_are_tested_at_once(shards: Path, run: Path) -> None:
    assert main(["test", f"--run_dir={run}", f"--data.shards={shards}"]) == 0
    for name in NAMES:
        assert '"test"' in (run / "saes" / name / "metrics.json").read_text()


def test_one_that_diverges_does_not_sink_the_others(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert main(fit_options(shards, run_dir, *MORE, "--model.sweep={lr: [4e-3, 1e30]}")) == 1
    assert [path.name for path in (run_dir / "saes").iterdir()] == ["topk-d_sae48-k4-lr0.004"]
    err = capsys.readouterr().err
    assert "topk-d_sae48-k4-lr1e+30 is given up, the loss is " in err
    assert one_line(err).endswith("but 1 of 2 diverged, lower the lr: topk-d_sae48-k4-lr1e+30 (given up)")
    alone = tmp_path / "alone"
    assert main(fit_options(shards, alone, *MORE, "--model.lr=4e-3")) == 0
    assert weights_of(run_dir, "topk-d_sae48-k4-lr0.004") == weights_of(alone, "topk-d_sae48-k4")


def test_an_sae_that_is_worse_than_the_mean_is_said_to_have_diverged(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    assert main(fit_options(shards, run_dir, *MORE, "--model.sweep={lr: [4e-3, 1e10]}")) == 1
    assert len(list(html_files(run_dir))) == 2
    err = capsys.readouterr().err
    assert "but 1 of 2 diverged, lower the lr: topk-d_sae48-k4-lr10000000000.0 (FVU " in one_line(err)
    (row,) = (line for line in err.splitlines() if line.endswith("  diverged"))
    assert "lr10000000000.0" in row
    assert {row["name"][-5:]: row["diverged"] for row in table(run_dir)} == {"0.004": "0", "000.0": "1"}


def test_a_short_run_from_random_weights_has_not_diverged(shards: Path, tmp_path: Path) -> None:
    more = ["--model.init=random", "--data.n_tokens=128"]
    assert main(fit_options(shards, tmp_path / "run", *more, sae=BATCH_TOPK)) == 0


def test_where_all_diverge_the_run_ends(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(fit_options(shards, tmp_path / "run", "--model.sweep={lr: [1e30, 1e31]}")) == 1
    assert "the run diverges, lower its lr" in one_line(capsys.readouterr().err.splitlines()[-1])


def test_galleries_that_cannot_be_made_lose_nothing(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*MORE, "--model.sweep={sae.k: [2, 4]}", "--visualizer.log_freq_range=[3, 4]"]
    assert main(fit_options(shards, tmp_path / "run", *options)) == 1
    err = capsys.readouterr().err
    assert "the SAEs are trained and saved, but the galleries could not be made (saev render tries again)" in err
    assert "log10 frequency within (3.0, 4.0)" in err
    assert sorted(path.name for path in tmp_path.glob("run/saes/*")) == ["topk-d_sae48-k2", "topk-d_sae48-k4"]
    assert main(["render", f"--run_dir={tmp_path / 'run'}", "--visualizer.log_freq_range=[-9, 0]"]) == 0
    assert len(list(html_files(tmp_path / "run"))) == 2


@pytest.mark.slow
def test_two_processes_train_a_sweep_as_one(shards: Path, tmp_path: Path) -> None:
    """Their gradients in each architecture: tests/training/test_exact_gradients.py."""
    options = [*MORE, "--model.lr=1e-4", "--model.sweep={seed: [0, 1]}"]
    sae = [*BATCH_TOPK, "--model.sae.k=4"]
    two = start(fit_options(shards, tmp_path / "two", *options, *TWO, sae=sae))
    assert main(fit_options(shards, tmp_path / "one", *options, sae=sae)) == 0
    status, _, err = finish(two)
    assert status == 0, err
    for directory in (tmp_path / "one" / "saes").iterdir():
        expected = load_file(directory / "sae.safetensors")
        found = load_file(tmp_path / "two" / "saes" / directory.name / "sae.safetensors")
        assert_close(found, expected)
