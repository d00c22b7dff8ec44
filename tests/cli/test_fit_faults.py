"""What `saev fit` refuses: one readable line, a non-zero status, and no run directory that could be taken for whole."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.cli.fitting import fit_options, one_line, refusal
from tests.conftest import MakeShards

from saev.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards()[0]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--model.sae.k=49", "k=49 must lie between 1 and d_sae=48: lower k or raise d_sae"),
        ("--data.d_model=768", "activations of width 8, not 768"),
        ("--data.tokens=registers", "these shards have no registers tokens: choose from content, cls, all"),
        ("--data.tokens=heads", "heads"),
        ("--data.val_share=1", "val_share=1.0 must be at least 0 and below 1"),
        ("--data.batch_size=0", "batch_size=0"),
        ("--data.n_tokens=63", "n_tokens=63 must be at least one batch, batch_size=64"),
        ("--data.buffer_gib=1e-9", "a buffer of 1 bytes is too small for batches of 64 tokens"),
        ("--model.lr=0", "lr=0.0 is too small"),
        ("--model.warmup=0.9", "warmup=0.9 and decay=0.2 are shares: at most 1 together"),
        ("--visualizer.include_latents=[48]", "include_latents [48]: the SAE has latents 0 to 47"),
        ("--model.sae.d_sae=0", "d_sae=0"),
        ("--model.sae=Vanilla", "Vanilla"),
        ("--model.nonsense=3", "nonsense"),
        ("--ckpt_path=last", "there is no checkpoint"),
        ("--trainer.val_check_interval=0", "--trainer.val_check_interval 0: give the steps"),
        ("--trainer.val_check_interval=41", "1 to the 40 of this run"),
        ("--trainer.check_val_every_n_epoch=0", "--trainer.check_val_every_n_epoch 0 must be 1 or more"),
        ("--trainer.gradient_clip_val=-1", "--trainer.gradient_clip_val -1.0 must be 0 or more"),
        ("--data.seed=-1", "seed=-1 must be 0 or more"),
        ("--visualizer.seed=-1", "seed=-1 must be 0 or more"),
        ("--data.threads=100000", "threads=100000 must be from 1 to 1024"),
        (
            '--trainer.callbacks={"class_path": "EarlyStopping", "init_args": {"monitor": "nothing"}}',
            "EarlyStopping monitors 'nothing', which nothing logs: give one of loss, val/almost_dead",
        ),
    ],
)
def test_options_that_make_no_sense(shards: Path, tmp_path: Path, option: str, said: str, capsys: Capture) -> None:
    assert said in refusal(fit_options(shards, tmp_path / "run", option), capsys)
    assert not (tmp_path / "run").exists()


def test_what_is_logged_can_be_monitored(shards: Path, tmp_path: Path) -> None:
    def monitor(name: str) -> str:
        return f'--trainer.callbacks+={{"class_path": "EarlyStopping", "init_args": {{"monitor": "{name}"}}}}'

    for number, names in enumerate((("val/fvu", "val/coherence_max"), ("loss", "val/dense_1pct"))):
        argv = fit_options(shards, tmp_path / str(number), "--data.val_share=0.2", "--trainer.log_every_n_steps=0")
        assert main([*argv, *map(monitor, names)]) == 0


def test_the_shards_must_be_given(tmp_path: Path, capsys: Capture) -> None:
    assert "data.shards" in refusal(["fit", f"--run_dir={tmp_path / 'run'}"], capsys)
    assert "run_dir" in refusal(["fit", f"--data.shards={tmp_path}"], capsys)


def missing(directory: Path) -> None:
    shutil.rmtree(directory)


def truncated(directory: Path) -> None:
    with (directory / "acts000001.bin").open("r+b") as file:
        file.truncate(100)


def absent_file(directory: Path) -> None:
    (directory / "acts000000.bin").unlink()


def other_version(directory: Path) -> None:
    path = directory / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"protocol": "9.0"}))


def flipped_bit(directory: Path) -> None:
    path = directory / "acts000001.bin"
    data = bytearray(path.read_bytes())
    data[40] ^= 1  # of the first patch of the first example
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (missing, "no such directory"),
        (truncated, "acts000001.bin: truncated: 100 bytes instead of"),
        (absent_file, "acts000000.bin: is missing"),
        (other_version, "9.0"),
        (flipped_bit, "acts000001.bin: block 0"),
    ],
)
def test_shards_that_cannot_be_used(
    shards: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str, capsys: Capture
) -> None:
    broken = Path(shutil.copytree(shards, tmp_path / shards.name))
    spoil(broken)
    assert said in refusal(fit_options(broken, tmp_path / "run"), capsys)
    assert not (tmp_path / "run").exists()


def test_validation_shards_of_another_width(
    shards: Path, make_shards: MakeShards, tmp_path: Path, capsys: Capture
) -> None:
    other, _ = make_shards(5, d_model=4)
    said = refusal(fit_options(shards, tmp_path / "run", f"--data.val_shards={other}"), capsys)
    assert "activations of width 4, not 8" in said
    assert not (tmp_path / "run").exists()


def test_an_existing_run_directory(shards: Path, tmp_path: Path, capsys: Capture) -> None:
    options = fit_options(shards, tmp_path / "run")
    assert main(options) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert "is not empty: go on with --ckpt_path last, or give another --run_dir" in refusal(options, capsys)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_directory_of_something_else(shards: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert "is not empty: give another --run_dir" in refusal(fit_options(shards, tmp_path), capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.fixture(scope="module")
def finished(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "finished"
    assert main(fit_options(shards, run_dir)) == 0
    return run_dir


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is damaged"),
        (b"no checkpoint", "is damaged"),
        (b"text", "is damaged: its digest is"),
        (None, "is damaged"),
        ({"a": 1}, "is no checkpoint of a run"),
    ],
    ids=["empty", "text", "digest", "truncated", "foreign"],
)
def test_a_damaged_checkpoint(
    shards: Path, finished: Path, tmp_path: Path, content: bytes | dict[str, int] | None, said: str, capsys: Capture
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    last = run_dir / "checkpoints" / "last.ckpt"
    config = (run_dir / "config.yaml").read_bytes()
    if content != b"text":
        last.with_name("last.ckpt.xxh3").unlink()
    if isinstance(content, dict):
        torch.save(content, last)
    else:
        last.write_bytes(last.read_bytes()[:2000] if content is None else content)
    line = refusal(fit_options(shards, run_dir, "--ckpt_path=last"), capsys)
    assert said in line
    assert str(last) in line
    assert (run_dir / "config.yaml").read_bytes() == config


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--data.seed=1", "seed was 0 and is 1"),
        ("--data.batch_size=32", "batch_size was 64 and is 32"),
        ("--data.tokens=cls", "tokens was 1 to 7 of each image and is 0 to 1 of each image"),
        ("--data.val_share=0.5", "images was 38 ("),
        ("--model.sae.d_sae=64", "d_sae was 48 and is 64"),
        ("--model.sae.k=3", "k was 4 and is 3"),
        ("--model.lr=0.1", "lr was 0.008 and is 0.1"),
        ("--trainer.precision=bf16-mixed", "precision was 32-true and is bf16-mixed"),
        ("--trainer.gradient_clip_val=1", "gradient_clip_val was None and is 1"),
    ],
)
def test_a_run_does_not_go_on_as_another_one(
    shards: Path, finished: Path, tmp_path: Path, option: str, said: str, capsys: Capture
) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    config = (run_dir / "config.yaml").read_bytes()
    assert said in refusal(fit_options(shards, run_dir, "--ckpt_path=last", option), capsys)
    assert (run_dir / "config.yaml").read_bytes() == config


def test_options_that_change_no_weight_may_change(shards: Path, finished: Path, tmp_path: Path) -> None:
    run_dir = Path(shutil.copytree(finished, tmp_path / "run"))
    more = ["--trainer.log_every_n_steps=1", "--trainer.gradient_clip_val=0", "--data.threads=1"]
    assert main(fit_options(shards, run_dir, "--ckpt_path=last", *more)) == 0


def test_a_run_does_not_go_on_with_other_shards(finished: Path, make_shards: MakeShards, capsys: Capture) -> None:
    for other, said in ((make_shards(39)[0], "shards was"), (make_shards(40, d_model=4)[0], "d_in was 8 and is 4")):
        assert said in refusal(fit_options(other, finished, "--ckpt_path=last"), capsys)


@pytest.mark.parametrize(
    "option",
    [
        "--checkpoint.every_n_steps=0",
        "--trainer.max_epochs=2",
        "--trainer.accumulate_grad_batches=2",
        "--trainer.default_root_dir=elsewhere",
        "--trainer.limit_train_batches=2",
        "--trainer.precision=bf16-true",
    ],
)
def test_trainer_options_that_contradict_the_run(
    make_shards: MakeShards, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    shards, _ = make_shards(40, d_model=16)
    capsys.readouterr()
    assert main([*fit_options(shards, tmp_path / "run"), option]) == 1
    assert option.split("=")[0].split(".")[1] in one_line(capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_without_a_logger(make_shards: MakeShards, tmp_path: Path) -> None:
    shards, _ = make_shards(40, d_model=16)
    assert main([*fit_options(shards, tmp_path / "run"), "--trainer.logger=false"]) == 0
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_val_shards_must_be_other_images_of_the_same_layer(
    make_shards: MakeShards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, _ = make_shards(40, d_model=16)
    for val_shards, said in ((shards, "are the same as shards"), (make_shards(9, d_model=16, layer=4)[0], "layer 3")):
        capsys.readouterr()
        assert main([*fit_options(shards, tmp_path / "run"), f"--data.val_shards={val_shards}"]) == 1
        assert said in one_line(capsys.readouterr().err)
