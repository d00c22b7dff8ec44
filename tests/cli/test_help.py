"""Help: complete, and of the bare command without what takes long to import."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.zygote import environment

from saev.cli.main import COMMANDS, main

Capture = pytest.CaptureFixture[str]
CONFIGS = Path(__file__).parents[2] / "configs"


def helped(argv: list[str], capsys: Capture) -> str:
    """What a help option prints, on one line."""
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    return " ".join(out.split())


def test_help_lists_the_commands_without_torch():
    code = (
        "import sys; from saev.cli.main import main; status = main(['--help']); "
        "print([name for name in ('torch', 'lightning', 'numpy', 'jsonargparse') if name in sys.modules]); "
        "sys.exit(status)"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert all(command in result.stdout for command in COMMANDS)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("argv", "status"), [([], 2), (["help"], 0), (["-h"], 0)])
def test_the_bare_command_and_help_print_the_usage(argv: list[str], status: int, capsys: Capture):
    assert main(argv) == status
    assert "usage: saev COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["--version", "version"])
def test_the_version_is_that_of_the_package(name: str, capsys: Capture):
    assert main([name]) == 0
    assert capsys.readouterr().out == f"saev {importlib.metadata.version('saev')}\n"


def test_an_unknown_command_is_one_line(capsys: Capture):
    assert main(["predcit"]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert "there is no command 'predcit'; did you mean predict?" in err
    assert main(["probe", "tset"]) == 1
    assert "there is no command 'tset'; did you mean test?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "activations"])
def test_predicts_help_explains_every_option_and_hides_what_is_linked(command: str, capsys: Capture):
    help_text = helped([command, "--help_all"], capsys)
    own = [
        name for name in re.findall(r" (--(?:trainer|model|data|writer)\.[a-z_]+) ", help_text) if "help" not in name
    ]
    assert {"--model.layers", "--data.images", "--writer.dump_to", "--trainer.devices"} <= set(own)
    for name in set(own):
        # Each option's own paragraph: its metavariable, then words, then its type.
        assert re.search(rf"{re.escape(name)}[ ,+][^(]*[a-z]{{2,}} [^(]*.*?type:", help_text), name
    for linked in ("preprocessing", "data.grid", "Linked"):
        assert linked not in help_text
    assert "_Without" not in help_text


@pytest.mark.parametrize("command", ["fit", "validate", "test", "render", "predict"])
def test_the_short_help_has_all_options_of_saev_and_fits_a_few_screens(
    command: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    short, full = helped([command, "--help"], capsys), helped([command, "--help_all"], capsys)
    own = set(
        re.findall(r"\[?(--(?:(?:model|data|visualizer|writer|checkpoint)\.\w+|run_dir|sae|out|ckpt_path))\b", full)
    )
    assert own >= {"--data.batch_size"} or command == "render"
    assert own <= set(re.findall(r"--[\w.]+", short))
    assert "--trainer.accelerator" in short
    assert "--trainer.plugins" not in short
    assert short.endswith(f"`saev {command} --help_all` prints all options, each at length.")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 100


def test_the_short_help_fits_the_terminal(capsys: Capture, monkeypatch: pytest.MonkeyPatch):
    for columns, widest in ((20, 60), (80, 80), (300, 100)):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit):
            main(["fit", "--help"])
        assert max(map(len, capsys.readouterr().out.splitlines())) <= widest


def test_the_short_help_gives_an_options_text_default_and_whether_it_is_required(capsys: Capture):
    text = helped(["fit", "--help"], capsys)
    assert text.startswith("usage: saev fit --data.shards PATH --run_dir PATH [options] Train an SAE on shards.")
    assert "--model.warmup X Share of the steps over which the learning rate rises. (default 0.2)" in text
    assert "--run_dir PATH Directory that holds all results of a run. (required)" in text
    assert "--trainer.devices N How many of them, in one process each" in text


@pytest.mark.parametrize(
    ("given", "shown", "hidden"),
    [
        ([], "--model.sae.k N", "l0_coeff"),
        (["--model.sae", "BatchTopK"], "--model.sae.k N Active latents a token, on average.", "l0_coeff"),
        (["--model.sae=JumpReLU"], "--model.sae.l0_coeff X The weight lambda of the penalty. (default 1.0)", "sae.k "),
        ([f"--config={CONFIGS / 'fit' / 'relu.yaml'}"], "--model.sae.l1_coeff X", "sae.k "),
        (["--config", str(CONFIGS / "fit" / "relu.yaml"), "--model.sae", "JumpReLU"], "l0_coeff X", "sae.k "),
        (["--model.sae=saev.Gated"], "The next options are those of Gated. --model.sae.d_sae N", "sae.k "),
    ],
)
def test_the_short_help_has_the_options_of_the_chosen_architecture(
    given: list[str], shown: str, hidden: str, capsys: Capture
):
    text = helped(["fit", *given, "--help"], capsys)
    assert shown in text
    assert f"--model.{hidden}" not in text.replace("--model.sae.l0", "--model.l0")
    assert "--model.sae.d_in" not in text
    assert "One of Archetypal, BatchTopK, Gated" in text
    assert ("(default TopK)" in text) is (not given or "--config=" in given[0])


@pytest.mark.parametrize("source", ["ImageFolder", "SegmentationFolder", "HuggingFaceImages", "ImageList"])
def test_every_source_of_pictures_explains_its_options(source: str, capsys: Capture):
    help_text = helped(["predict", f"--data.images.help={source}"], capsys)
    options = re.findall(r"(--data\.images\.[a-z_]+) [A-Z{\[]", help_text)
    assert options
    for option in options:
        assert re.search(rf"{re.escape(option)} (?:\{{.*?\}}|\S+) [A-Za-z]\w*:? [^(]*\(", help_text), option


def test_a_printed_configuration_can_be_used_again(capsys: Capture):
    text = helped(["predict", "--print_config"], capsys)
    assert "family: null" in text
    assert not {"preprocessing", "help_all"}.intersection(re.findall(r"\w+", text))
