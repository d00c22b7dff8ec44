"""Files of a run and of a recording that are nested without end, empty, or ask for more memory than there is."""

import json
import operator
import shutil
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.fitting import fit_options, only, refusal
from tests.cli.recording import folder, options, write_pictures

from saev.cli.main import main

Capture = pytest.CaptureFixture[str]
DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording in shards/ and a run in run/."""
    root = tmp_path_factory.mktemp("made")
    argv = options(root / "shards", folder(write_pictures(root / "pictures", 6)), "--model.image_size=32")
    assert main(argv) == 0
    fit = fit_options(only(root, "shards/*"), root / "run", "--data.n_tokens=64", "--data.batch_size=16")
    assert main([*fit, "--visualizer.n_latents=1"]) == 0
    return root


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    """One that may be damaged."""
    return Path(shutil.copytree(made, tmp_path / "made"))


def commands(root: Path) -> dict[str, list[str]]:
    """A line of each command that reads files of runs or recordings."""
    run = f"--run_dir={root / 'run'}"
    device = ["--device=cpu", "--weights=random"]
    shards = str(only(root, "shards/*"))
    return {
        "fit": fit_options(Path(shards), root / "new"),
        "goes on": [*fit_options(Path(shards), root / "run"), "--ckpt_path=last", "--model.sweep={sae.k: [2, 4]}"],
        **{
            name: [name, run, f"--data.shards={shards}", "--trainer.accelerator=cpu"]
            for name in ("validate", "test", "render")
        },
        "view": ["view", run, "--port=0", f"--shards={shards}", *device],
        "downstream": [
            *("downstream", f"--sae={only(root, 'run/saes/*')}", f"--images={root / 'pictures'}", "--num_workers=0"),
            *("--k=2", f"--out={root / 'figures.json'}", *device),
        ],
        "info": ["shards", "info", shards],
    }


@pytest.mark.parametrize(
    ("file", "readers"),
    [
        ("run/config.yaml", ("validate", "test", "render")),
        ("run/saes/*/config.json", ("test", "render", "downstream")),
        ("shards/*/metadata.json", ("fit", "validate", "info", "view")),
        ("shards/*/manifest.json", ("fit", "validate", "info", "view")),
        ("shards/*/shards.json", ("fit", "validate", "info")),
    ],
)
@pytest.mark.parametrize("content", [DEEP, "", "null", '{"a": ' * 100_000], ids=["deep", "empty", "null", "deep keys"])
def test_files_nested_without_end_or_empty(
    copy: Path, file: str, readers: tuple[str, ...], content: str, capsys: Capture
) -> None:
    path = only(copy, file)
    lines = commands(copy)
    path.chmod(0o600)
    path.write_text(content)
    for reader in readers:
        assert path.name in refusal(lines[reader], capsys)


def test_what_the_user_gives_may_not_be_nested_without_end(copy: Path, capsys: Capture) -> None:
    (copy / "deep.yaml").write_text(f"data: {DEEP}")
    fit = commands(copy)["fit"]
    assert "maximum nesting depth" in refusal([*fit, f"--config={copy / 'deep.yaml'}"], capsys)
    assert "--model.sweep: expected" in refusal([*fit, f"--model.sweep={DEEP}"], capsys)


@pytest.mark.parametrize("option", ["visualizer", "visualizer.namer", "data.tokens", "data.shards"])
def test_a_value_in_the_configuration_of_a_run_is_no_way_to_a_device(copy: Path, option: str, capsys: Capture) -> None:
    """The parser opens whatever exists under a value's name."""
    path = copy / "run" / "config.yaml"
    config = yaml.safe_load(path.read_text())
    *groups, last = option.split(".")
    reduce(operator.getitem, groups, config)[last] = "/dev/zero"
    path.write_text(yaml.safe_dump(config))
    said = refusal(["render", f"--run_dir={copy / 'run'}"], capsys)
    assert f"config.yaml is not the configuration of a run: --{option} /dev/zero: is no regular file" in said


def edited(path: Path, change: Callable[[Any], None]) -> None:
    """Change the value in a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.chmod(0o600)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        {"input_size": [3, 10**6, 10**6]},
        {"input_size": [3, 32]},
        {"input_size": "huge"},
        {"input_size": [3, "32", 32]},
        {"crop_pct": 1e-9},
        {"crop_pct": 0},
        {"crop_pct": None},
    ],
)
def test_pictures_of_a_size_for_which_there_is_no_memory(copy: Path, change: dict[str, Any], capsys: Capture) -> None:
    config = only(copy, "run/saes/*/config.json")
    edited(config, lambda content: content["about"]["trained_on"]["preprocessing"]["config"].update(change))
    assert "preprocessing of timm: " in refusal(commands(copy)["downstream"], capsys)
