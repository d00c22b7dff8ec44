"""Help: complete, and of the bare command without what takes long to import."""

import importlib.metadata
import re
import subprocess
import sys

import pytest
from tests.cli.zygote import environment

from saev.cli.main import COMMANDS, main

Capture = pytest.CaptureFixture[str]


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
    help_text = helped([command, "--help"], capsys)
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
    assert "preprocessing" not in text
