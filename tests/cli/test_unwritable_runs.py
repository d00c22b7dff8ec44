"""Run directories that cannot be made or written: one line, and evaluation puts its results elsewhere."""

import json
import os
import shutil
from pathlib import Path

import pytest
from tests.cli.disks import read_only
from tests.cli.fitting import fit_options, metrics, one_line, only, sparse_acts
from tests.cli.processes import tree
from tests.conftest import MakeShards

from saev.cli.main import main

Capture = pytest.CaptureFixture[str]
NAME = "topk-d_sae48-k4"


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40, d_model=16, acts=sparse_acts(40, 7))[0]


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main(fit_options(shards, run_dir)) == 0
    return run_dir


def failure(argv: list[str], capsys: Capture) -> tuple[str, str]:
    """The one line of a command that fails, and all of its standard error."""
    capsys.readouterr()
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return one_line(err), err


@pytest.mark.parametrize("more", [(), ("--ckpt_path=last",), ("--ckpt_path={run}/checkpoints/last.ckpt",)])
@pytest.mark.parametrize("below", ["", "run"])
def test_fit_where_a_file_is_in_the_way(
    more: tuple[str, ...], below: str, shards: Path, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    options = [option.format(run=finished) for option in more]
    run_dir = tmp_path / "file" / below
    said, _ = failure(fit_options(shards, run_dir, *options), capsys)
    assert f"{run_dir} cannot be written: " in said
    assert "is a file: give a directory" in said


def test_a_run_that_can_only_be_read(shards: Path, finished: Path, tmp_path: Path, capsys: Capture) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    before, (val, trained) = tree(run), (metrics(run)["val"], metrics(run)["train"])
    with read_only(run):
        for run_dir, more in ((run, ()), (run, ("--ckpt_path=last",)), (run / "new", ())):
            said, _ = failure(fit_options(shards, run_dir, *more), capsys)
            assert f"{run_dir} cannot be written (" in said
        for command in ("validate", "test"):
            said, err = failure([command, f"--run_dir={run}"], capsys)
            assert f"{run} cannot be written (" in said
            assert said.endswith("nothing was written, --out DIR takes metrics and galleries")
            assert f"{val['fvu']:.4f}" in err
            assert "all figures" not in err
        said, _ = failure(["render", f"--run_dir={run}"], capsys)
        assert said.endswith("or give another directory with --out DIR")
        out = tmp_path / "out"
        for command in ("validate", "test", "render"):
            capsys.readouterr()
            assert main([command, f"--run_dir={run}", f"--out={out / command}"]) == 0
            assert capsys.readouterr().out == f"{out / command}\n"
        assert metrics(out / "validate") == {"train": trained, "val": val}
        assert metrics(out / "test") == {"train": trained, "test": val}
        assert not list(out.glob("validate/features"))
        for command in ("test", "render"):
            assert only(out / command, f"features/{NAME}/index.html").is_file()
        said, _ = failure(["validate", f"--run_dir={run}", f"--out={run / 'out'}"], capsys)
        assert f"{run / 'out'} cannot be written (" in said
    assert tree(run) == before


def test_figures_of_downstream_go_to_regular_files(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    for out, said in (
        ("", "is no regular file: name another one"),
        ("fifo", "is no regular file: name another one"),
        ("none/out.json", f"there is no directory {tmp_path / 'none'}"),
        ("file/out.json", f"{tmp_path / 'file'} cannot be written: it is a file"),
    ):
        argv = ["downstream", f"--sae={tmp_path}", f"--images={tmp_path}", f"--out={tmp_path / out}"]
        assert said in failure(argv, capsys)[0]


def test_figures_are_told_where_the_disk_does_not_take_them(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    path = run / "saes" / NAME / "metrics.json"
    fvu = json.loads(path.read_text())["val"]["fvu"]
    path.unlink()
    path.mkdir()
    for command in ("validate", "test"):
        said, err = failure([command, f"--run_dir={run}"], capsys)
        assert f"{path}: is a directory" in said
        assert f"{fvu:.4f}" in err


def test_results_elsewhere_of_a_sweep(shards: Path, tmp_path: Path, capsys: Capture) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    assert main(fit_options(shards, run, "--model.sweep={seed: [0, 1]}", "--visualizer.n_latents=0")) == 0
    before = tree(run)
    assert main(["validate", f"--run_dir={run}", f"--out={out}"]) == 0
    assert tree(run) == before
    assert (out / "sweep.csv").read_bytes() == (run / "sweep.csv").read_bytes()
    assert sorted(path.name for path in out.iterdir()) == ["saes", "sweep.csv", "sweep.png"]
