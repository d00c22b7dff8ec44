"""Two processes with half of the latents each train what one process trains."""

from pathlib import Path

import pytest
from tests.cli.fitting import (
    SAVE_OFTEN,
    TWO,
    assert_close,
    assert_same_run,
    fit_options,
    metrics,
    one_line,
    only,
    scalars,
    steps_done,
    weights,
)
from tests.cli.killing import kill_after
from tests.cli.stopping import StopError
from tests.cli.zygote import finish, start

import saev
from saev.cli.main import main

DIVIDED = [*TWO, "--model.shard_latents=true"]
MORE = [
    "--model.dead_after=640",
    "--model.sae.d_sae=96",
    "--trainer.gradient_clip_val=0.3",
    "--trainer.log_every_n_steps=1",
]
SAES = {
    "TopK": ["--model.sae=TopK", "--model.sae.k=4"],
    "BatchTopK": ["--model.sae=BatchTopK", "--model.sae.k=4"],
    "Matryoshka": ["--model.sae=Matryoshka", "--model.sae.k=4", "--model.sae.prefixes=[7,60]"],
}
N_STEPS = 80


def options(shards: Path, run_dir: Path, architecture: str, *more: str) -> list[str]:
    return [*fit_options(shards, run_dir), *SAES[architecture], *MORE, *more]


@pytest.mark.slow
def test_two_processes_train_as_one(shards: Path, tmp_path: Path) -> None:
    """Each architecture, step by step: tests/nn/test_sharding.py."""
    one, two = tmp_path / "one", tmp_path / "two"
    process = start(options(shards, two, "Matryoshka", *DIVIDED))
    assert main(options(shards, one, "Matryoshka")) == 0
    status, out, err = finish(process)
    assert (status, out) == (0, f"{two}\n"), err
    assert_close(weights(two), weights(one))
    for name, value in metrics(one)["val"].items():
        assert metrics(two)["val"][name] == pytest.approx(value, rel=1e-3), name
    logs = scalars(one)
    assert max(value for _, value in logs["train/dead"]) > 0  # AuxK and restarts had something to do
    for tag, values in logs.items():
        assert scalars(two)[tag] == [(step, pytest.approx(value, rel=2e-2, abs=1e-4)) for step, value in values], tag
    saes = [saev.load(only(run, "saes/*")) for run in (one, two)]
    assert saes[1].options() == saes[0].options()
    assert_close(saes[1].state_dict(), saes[0].state_dict())
    assert only(two, "features/*/index.html").is_file()
    assert main(["validate", f"--run_dir={two}"]) == 0


@pytest.mark.slow
def test_encoders_of_low_precision(shards: Path, tmp_path: Path) -> None:
    """Candidates and bounds are exchanged in bfloat16."""
    one, two = tmp_path / "one", tmp_path / "two"
    more = ["--trainer.precision=bf16-mixed", "--model.sae.per=token"]
    process = start(options(shards, two, "Matryoshka", *more, *DIVIDED))
    assert main(options(shards, one, "Matryoshka", *more)) == 0
    status, _, err = finish(process)
    assert status == 0, err
    assert metrics(two)["val"]["fvu"] == pytest.approx(metrics(one)["val"]["fvu"], rel=0.1)


@pytest.mark.slow
def test_killed_and_gone_on(shards: Path, tmp_path: Path) -> None:
    whole, run = tmp_path / "undisturbed", tmp_path / "run"
    length = [f"--data.n_tokens={64 * N_STEPS}", SAVE_OFTEN]
    status, _, err = finish(start(options(shards, whole, "BatchTopK", *length, *DIVIDED)))
    assert status == 0, err
    argv = options(shards, run, "BatchTopK", *length, *DIVIDED)
    kill_after(argv, run, 5, N_STEPS)
    go_on = [*argv, "--ckpt_path=last"]
    kill_after(go_on, run, 20, N_STEPS)
    status, _, err = finish(start(go_on))
    assert status == 0, err
    assert_same_run(run, whole)
    # A finished run that goes on is rendered again.
    page = only(run, "features/*/index.html")
    page.unlink()
    status, _, err = finish(start(go_on))
    assert status == 0, err
    assert page.is_file() and metrics(run) == metrics(whole)


@pytest.mark.slow
def test_a_checkpoint_goes_on_with_another_number_of_processes(shards: Path, tmp_path: Path) -> None:
    """Begun by two, then one, then two again: as one that does all of it."""
    one, mixed = tmp_path / "one", tmp_path / "mixed"
    assert main(options(shards, one, "TopK")) == 0
    argv = options(shards, mixed, "TopK", SAVE_OFTEN)
    stop = ["--trainer.callbacks=tests.cli.stopping.StopBefore", "--trainer.callbacks.step"]
    status, _, err = finish(start([*argv, *DIVIDED, *stop, "15"]))
    assert status != 0 and "StopError" in err and steps_done(mixed) == 15
    with pytest.raises(StopError):
        main([*argv, "--ckpt_path=last", *stop, "30"])
    assert steps_done(mixed) == 30
    status, _, err = finish(start([*argv, *DIVIDED, "--ckpt_path=last"]))
    assert status == 0, err
    assert_close(weights(mixed), weights(one))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model.sae.d_sae=97"], "d_sae=97 cannot be divided equally among 2 processes, 98 can"),
        (
            ["--model.sae=HierarchicalTopK"],
            "the latents of HierarchicalTopK cannot be divided, only those of BatchTopK, Matryoshka, TopK",
        ),
        (["--model.sweep={sae.k: [2, 4]}"], "a sweep of 2 SAEs cannot be divided"),
        (["--trainer.devices=1"], "give --trainer.devices 2 or more"),
        (["--trainer.strategy=fsdp"], "--trainer.strategy fsdp: with --model.shard_latents true, give ddp"),
    ],
)
def test_refused(
    more: list[str], message: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*fit_options(shards, tmp_path / "run"), *DIVIDED, *more]) != 0
    assert message in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()
