"""After a kill each file of a run is the old one or the new one, and the same command, or another, goes on."""

import shutil
from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, metrics, only, sparse_acts
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards

import saev
from saev.cli.main import main

Capture = pytest.CaptureFixture[str]
NAME = "topk-d_sae48-k4"


@pytest.fixture(scope="module")
def options(make_shards: MakeShards) -> list[str]:
    return fit_options(make_shards(40, d_model=16, acts=sparse_acts(40, 7))[0], Path("nowhere"))


@pytest.fixture(scope="module")
def finished(options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main([*options, f"--run_dir={run_dir}"]) == 0
    return run_dir


def kill(jobs: list[tuple[str, list[str]]]) -> None:
    """Run these commands and kill each of them where a file of this name would take its place."""
    for name, argv in jobs:
        status, _, err = finish(start(argv, f"from tests.cli.faulty import kill_at; kill_at({name!r})"))
        assert status == -9, err


@pytest.mark.slow
def test_a_kill_while_a_file_of_a_run_is_written(options: list[str], finished: Path, tmp_path: Path) -> None:
    by_fit = ["last.ckpt", "config.yaml", "sae.safetensors", "metrics.json", NAME]
    runs = {name: Path(shutil.copytree(finished, tmp_path / name)) for name in by_fit}
    again = {name: [*options, f"--run_dir={run}", "--ckpt_path=last"] for name, run in runs.items()}
    kept = Path(shutil.copytree(finished, tmp_path / "validated"))
    validate = ["validate", f"--run_dir={kept}"]
    rendered = Path(shutil.copytree(finished, tmp_path / "rendered"))
    render = ["render", f"--run_dir={rendered}"]
    kill([*again.items(), ("metrics.json", validate), (NAME, render)])
    before = metrics(finished)
    assert metrics(kept) == metrics(runs["metrics.json"]) == before
    assert not (rendered / "features" / NAME).exists()  # killed between two renames
    for argv in [*again.values(), validate, render]:
        assert main(argv) == 0
    for run in (*runs.values(), kept, rendered):
        assert metrics(run) == before
        assert saev.load(run / "saes" / NAME).d_sae == 48
        assert only(run, "features/*/index.html").is_file()
        left = [path for path in run.rglob(".*") if path.name != ".lock"]
        assert not left


@pytest.mark.parametrize("damage", [b"", b'{"val": {"fvu"', b"[]", b'{"val": 3}', b"\xff", b"[" * 10**5])
def test_a_damaged_metrics_file_of_an_older_version(
    damage: bytes, finished: Path, tmp_path: Path, capsys: Capture
) -> None:
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    path = only(run, "saes/*/metrics.json")
    path.write_bytes(damage)
    capsys.readouterr()
    assert main(["validate", f"--run_dir={run}"]) == 0
    err = capsys.readouterr().err
    (line,) = (line for line in err.splitlines() if str(path) in line)
    assert line.endswith("kept as metrics.json.damaged, begun anew")
    assert path.with_name("metrics.json.damaged").read_bytes() == damage
    assert metrics(run) == {"val": metrics(finished)["val"]}


def test_an_exported_sae_can_be_read_by_whom_other_files_can(finished: Path) -> None:
    first, *others = (path.stat().st_mode for path in (finished / "saes" / NAME).iterdir())
    assert len(others) == 2
    assert {first} == set(others)
