"""`saev fit` on data whose structure is known."""

from pathlib import Path

import pytest
import torch
from tests.cli.fitting import SPEED, fit_options, metrics, numpy_fvu, only, scalars, sparse_acts, weights
from tests.cli.zygote import finish, start_interpreter
from tests.conftest import MakeShards
from torch import Tensor

import saev
from saev.cli.main import main
from saev.shards.tokens import random_subset

N_EXAMPLES, GRID = 60, (3, 4)


@pytest.fixture(scope="module")
def data(make_shards: MakeShards) -> tuple[Path, Tensor]:
    """60 images of a CLS token, two registers and 3 x 4 patches, width 16."""
    return make_shards(N_EXAMPLES, d_model=16, grid=GRID, n_registers=2, acts=sparse_acts(N_EXAMPLES, 15))


@pytest.fixture(scope="module")
def run(data: tuple[Path, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main(fit_options(data[0], run_dir, "--data.n_tokens=25600", "--data.val_share=0.2")) == 0
    return run_dir


def test_a_run_directory_holds_everything(run: Path) -> None:
    assert (run / "config.yaml").is_file()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"last.ckpt", "last.ckpt.xxh3"}
    sae = only(run, "saes/*")
    assert {path.name for path in sae.iterdir()} == {"config.json", "sae.safetensors", "metrics.json"}
    assert (run / "features" / sae.name / "index.html").is_file()
    assert only(run, "events*").is_file()


def test_tensorboard_has_the_scalars(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = scalars(run)
    names = ("loss", "mse", "sparsity", "auxk", "fvu", "l0", "l1", "dead", "tokens")
    assert {f"train/{name}" for name in names} <= set(found)
    assert {f"val/{name}" for name in ("fvu", "explained_variance", "l0", "l1", "dead", "dense")} <= set(found)
    assert len(found["train/loss"]) >= 50
    assert found["train/lr"][-1][1] < max(found["train/lr"], key=lambda one: one[1])[1]  # it falls at the end
    speeds = EventAccumulator(str(only(run, "events*"))).Reload().Scalars(SPEED)
    assert len(speeds) == len(found["train/loss"]) - 1
    assert min(speed.value for speed in speeds) > 0
    assert found["train/fvu"][-1][1] < found["train/fvu"][0][1]


def test_topk_learns_the_structure(run: Path) -> None:
    found = metrics(run)["val"]
    assert found["fvu"] < 0.15
    assert 1 - found["fvu"] == pytest.approx(found["explained_variance"], abs=0.01)
    assert found["l0"] <= 4


def test_relu_learns_the_structure(data: tuple[Path, Tensor], tmp_path: Path) -> None:
    options = ["--model.sae=ReLU", "--model.sae.d_sae=48", "--model.sae.l1_coeff=0.3", "--data.n_tokens=25600"]
    assert main([*fit_options(data[0], tmp_path / "run")[:5], *options, "--trainer.accelerator=cpu"]) == 0
    found = metrics(tmp_path / "run")["val"]
    assert found["fvu"] < 0.2
    assert found["l0"] < 24
    assert scalars(tmp_path / "run")["train/sparsity"][-1][1] > 0


def test_the_saved_sae_takes_raw_activations(data: tuple[Path, Tensor], run: Path) -> None:
    sae = saev.load(only(run, "saes/*"))
    held_out = random_subset(N_EXAMPLES, 12, seed=0)
    x = data[1][torch.from_numpy(held_out), 3:].flatten(0, 1)
    reported = metrics(run)["val"]["fvu"]
    assert numpy_fvu(sae, x, k=4) == pytest.approx(reported, rel=1e-4)
    x_hat = sae(x)
    assert ((x - x_hat).square().sum() / (x - x.mean(0)).square().sum()).item() == pytest.approx(reported, rel=1e-4)
    x_train = data[1][:, 3:].flatten(0, 1)
    assert torch.allclose(sae.mean_d, x_train.mean(0), atol=0.1)
    assert sae.scale_d[0].item() == pytest.approx((x_train - x_train.mean(0)).square().mean().sqrt().item(), rel=0.05)


@pytest.mark.parametrize(
    "options",
    [[], ["--trainer.gradient_clip_val=0.05"], ["--trainer.precision=bf16-mixed"]],
    ids=["plain", "clip", "bf16"],
)
def test_rows_of_the_decoder_have_norm_one(data: tuple[Path, Tensor], tmp_path: Path, options: list[str]) -> None:
    assert main(fit_options(data[0], tmp_path / "run", *options)) == 0
    exported = saev.load(only(tmp_path / "run", "saes/*")).W_dec
    for W_dec in (weights(tmp_path / "run")["members.0.sae.W_dec"], exported):
        assert W_dec.dtype == torch.float32
        assert (W_dec.norm(dim=-1) - 1).abs().max() < 1e-6


@pytest.mark.parametrize(("tokens", "first", "last"), [("cls", 0, 1), ("registers", 1, 3), ("all", 0, 15)])
def test_tokens_choose_what_is_trained_on(
    data: tuple[Path, Tensor], tmp_path: Path, tokens: str, first: int, last: int
) -> None:
    options = [f"--data.tokens={tokens}", "--data.val_share=0.2"]
    assert main(fit_options(data[0], tmp_path / "run", *options)) == 0
    x = data[1][torch.from_numpy(random_subset(N_EXAMPLES, 12, seed=0)), first:last].flatten(0, 1)
    sae = saev.load(only(tmp_path / "run", "saes/*"))
    assert numpy_fvu(sae, x, k=4) == pytest.approx(metrics(tmp_path / "run")["val"]["fvu"], rel=1e-4)
    assert only(tmp_path / "run", "features/*/index.html").is_file()


def test_other_shards_can_be_validated_on(data: tuple[Path, Tensor], make_shards: MakeShards, tmp_path: Path) -> None:
    val_shards, acts = make_shards(7, d_model=16, grid=GRID, n_registers=2, acts=sparse_acts(7, 15), name="val")
    assert main(fit_options(data[0], tmp_path / "run", f"--data.val_shards={val_shards}")) == 0
    sae = saev.load(only(tmp_path / "run", "saes/*"))
    expected = numpy_fvu(sae, acts[:, 3:].flatten(0, 1), k=4)
    assert metrics(tmp_path / "run")["val"]["fvu"] == pytest.approx(expected, rel=1e-4)


def test_nothing_need_be_held_out(data: tuple[Path, Tensor], tmp_path: Path) -> None:
    assert main(fit_options(data[0], tmp_path / "run", "--data.val_share=0")) == 0
    assert metrics(tmp_path / "run").keys() == {"train"}


def test_the_token_budget_is_the_number_of_steps(data: tuple[Path, Tensor], tmp_path: Path) -> None:
    assert main(fit_options(data[0], tmp_path / "run", "--data.n_tokens=1000")) == 0
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 1000 // 64
    assert [step for step, _ in scalars(tmp_path / "run")["train/loss"]] == list(range(15))


@pytest.mark.slow
def test_the_real_command_says_little(data: tuple[Path, Tensor], tmp_path: Path) -> None:
    status, out, err = finish(start_interpreter(fit_options(data[0], Path("run")), cwd=tmp_path))
    assert (status, out) == (0, f"{tmp_path / 'run'}\n"), err
    for chatter in ("LeafSpec", "weights_only", "logging interval", "Warning", "warn", "deprecat", "Tip"):
        assert chatter not in err


def test_train_is_another_name_of_fit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "--help"])
    assert end.value.code == 0
    assert "--data.n_tokens" in capsys.readouterr().out


def test_fit_says_where_its_galleries_are(
    make_shards: MakeShards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "a run"
    shards = make_shards(20, d_model=16, grid=(3, 4), acts=sparse_acts(20, 13))[0]
    assert main(fit_options(shards, run_dir, "--data.n_tokens=128")) == 0
    out, err = capsys.readouterr()
    assert out == f"{run_dir}\n"
    gallery, view = err.splitlines()[-2:]
    assert gallery == f"gallery: {only(run_dir, 'features/*/index.html')}"
    assert view == f"with your own pictures: saev view --run_dir '{run_dir}'"
