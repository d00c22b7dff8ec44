"""Options that cannot be: one line, not too long, names the option as it is written, its value, and what would do."""

import inspect
from pathlib import Path

import pytest
import torch
from tests.cli.fitting import fit_options, one_line
from tests.cli.recording import folder, options
from tests.conftest import MakeShards

import saev.cli.record  # noqa: F401 - before standard error is captured: Lightning's logger would keep it
from saev.artifacts.sae_files import ARCHITECTURES
from saev.cli.main import main
from saev.errors import LONGEST_LINE

Capture = pytest.CaptureFixture[str]
HERE = Path(__file__).parent
FIT = ["fit", "--data.shards=/nowhere", "--run_dir=/nowhere/run"]
PREDICT = options(Path("/nowhere/out"), folder(Path("/nowhere")))


def said(argv: list[str], capsys: Capture) -> str:
    """The error line of a command that must fail."""
    capsys.readouterr()
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    line = one_line(err)
    assert len(line) <= LONGEST_LINE + 50
    for python in ("Namespace", "Callable", "class_path", "subtypes"):
        assert python not in line
    return line


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture_names_its_options(name: str, capsys: Capture) -> None:
    own = [option for option in inspect.signature(ARCHITECTURES[name]).parameters if option != "d_in"]
    line = said([*FIT, f"--model.sae={name}", f"--model.sae.{own[-1]}=elf"], capsys)
    assert f"error: --model.sae.{own[-1]}: expected " in line
    assert "got elf" in line
    line = said([*FIT, f"--model.sae={name}", "--model.sae.elf=11"], capsys)
    assert f"--model.sae {name} has no option --model.sae.elf; it has --model.sae.d_sae" in line
    assert f"--model.sae.{own[-1]}" in line


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([*FIT, "--model.sae=TopK", "--model.sae.k=1.5"], "error: --model.sae.k: expected int, got 1.5 ("),
        ([*FIT, "--model.sae={class_path: TopK, init_args: {k: 1.5}}"], "--model.sae.k: expected int, got 1.5 ("),
        (["fit"], "required and not given: --data.shards, --run_dir ("),
        ([*PREDICT, "--data.images=ImageList", "--data.images.rot=x"], "it has --data.images.file ("),
        (
            [*PREDICT[:5], "--data.images.root=x", "--writer.dump_to=x"],
            "--data.images must be given before its options",
        ),
        (
            [*FIT, "--model.sae=torch.nn.Linear"],
            "--model.sae Linear: Expected 'torch.nn.Linear' to be a subclass of SparseAutoencoder",
        ),
        (
            [*PREDICT, f"--data.images={HERE}"],
            f"for this folder give --data.images ImageFolder --data.images.root {HERE}",
        ),
        (["shards", "info"], "required and not given: directory ("),
        (["downstream", "--sae=x"], "required and not given: --images, --out ("),
        ([*FIT, f"--model.sae={'x' * 5000}"], "x…x"),
    ],
)
def test_what_is_wrong_is_named_as_it_is_written(argv: list[str], expected: str, capsys: Capture) -> None:
    assert expected in said(argv, capsys)


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ("{sae.k: [4, 1.5]}", "sweep: sae.k must be a whole number, not 1.5"),
        ("{sae.k: [elf]}", "sweep: sae.k must be a whole number, not 'elf'"),
        ("{lr: [elf]}", "sweep: lr must be a number, not 'elf'"),
        ("{k_aux: [1.5]}", "sweep: k_aux must be a whole number, not 1.5"),
        ("{sae.elf: [1]}", "sweep: the SAE has no option 'elf'; it has d_sae, k"),
    ],
)
def test_a_sweep_over_values_of_another_kind(
    sweep: str, expected: str, make_shards: MakeShards, tmp_path: Path, capsys: Capture
) -> None:
    shards = make_shards(20, d_model=16, acts=torch.randn(20, 7, 16))[0]
    assert expected in said(fit_options(shards, tmp_path / "run", f"--model.sweep={sweep}"), capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (["predict"], "--data.images.help"),
        (["fit"], "--model.sae.help"),
        (["downstream"], "--images.help"),
        (["probe", "intervene", "--images=DemoScenes"], "--images.help"),
    ],
)
def test_the_help_of_a_class_without_its_name_lists_the_names(command: list[str], option: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, option])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "usage" not in out
    assert f"{option.removesuffix('.help')} is one of " in out
    assert "SelectingAutoencoder" not in out, "it is abstract"
    assert f" {option} " in out.splitlines()[1]
