"""Every file of configs/fit runs, with its sizes brought down."""

from pathlib import Path

import pytest
from tests.cli.fitting import metrics, only, sparse_acts
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards

from saev.cli.main import main

CONFIGS = Path(__file__).parents[2] / "configs" / "fit"
SMALL = ["--data.n_tokens=1280", "--data.batch_size=64", "--model.sae.d_sae=48", "--visualizer.n_latents=2"]
ON_CPU = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40, d_model=16, acts=sparse_acts(40, 7))[0]


def options(config: str, shards: Path, run_dir: Path) -> list[str]:
    return ["fit", f"--config={CONFIGS / config}", f"--data.shards={shards}", f"--run_dir={run_dir}", *SMALL, *ON_CPU]


@pytest.mark.parametrize("config", sorted(path.name for path in CONFIGS.iterdir() if path.name != "ddp.yaml"))
def test_a_configuration_runs(config: str, shards: Path, tmp_path: Path) -> None:
    assert main(options(config, shards, tmp_path / "run")) == 0
    assert metrics(tmp_path / "run")["val"]["fvu"] < 1
    assert only(tmp_path / "run", "features/*/index.html").is_file()


@pytest.mark.slow
def test_several_processes(shards: Path, tmp_path: Path) -> None:
    more = ["--trainer.devices=2", "--model.sae.k=4"]
    status, out, err = finish(start([*options("ddp.yaml", shards, tmp_path / "run"), *more]))
    assert (status, out) == (0, f"{tmp_path / 'run'}\n"), err
    assert metrics(tmp_path / "run")["val"]["fvu"] < 1
