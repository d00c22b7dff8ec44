"""docs/extending.md: its examples, written to a directory of a user, through the real commands."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.cli.page import Ended, commands, run, write_modules
from tests.cli.recording import noise, write_pictures

import saev

PAGE = Path(saev.__file__).parents[2] / "docs" / "extending.md"
GREY = "are shown as grey tiles"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with pictures and the recording that the examples train on."""
    found = tmp_path_factory.mktemp("user")
    write_pictures(found / "pictures", 8)
    np.save(found / "stack.npy", np.stack([np.asarray(noise(number)) for number in range(8)]))
    whole(run(commands(PAGE, "How a name finds a class"), found))
    return found


def whole(ended: list[Ended]) -> list[Ended]:
    """Commands that have all done their work."""
    for one in ended:
        assert one.status == 0, one.err
        assert GREY not in one.err
    return ended


def example(section: str, place: Path) -> list[Ended]:
    """Write the modules of a section and run its commands."""
    write_modules(PAGE, section, place)
    return whole(run(commands(PAGE, section), place))


def figures(run_dir: Path) -> list[dict[str, dict[str, float]]]:
    """metrics.json of all SAEs of a run."""
    return [json.loads(path.read_text()) for path in sorted(run_dir.glob("saes/*/metrics.json"))]


@pytest.mark.slow
def test_an_architecture(place: Path) -> None:
    example("An architecture", place)
    (found,) = figures(place / "run")
    assert found["test"]["fvu"] < 1
    config = json.loads(next(place.glob("run/saes/*/config.json")).read_text())
    assert (config["architecture"], config["shift"]) == ("Shrunk", 0.2)
    assert len(list(place.glob("again/features/*/index.html"))) == 1
    python, unknown, known = run(
        ["python use_my_sae.py", "saev test --run_dir run --data.shards recorded/*", "saev fit --import my_sae --help"],
        place,
    )
    assert python.out.splitlines() == ["0.2", "{'d_sae': 32, 'shift': 0.1, 'l1_coeff': 0.3}"], python.err
    assert unknown.status == 1
    assert "names the architecture 'Shrunk', known are Archetypal" in unknown.err.splitlines()[-1]
    assert "--import MODULE" in unknown.err.splitlines()[-1]
    assert "my_sae.Shrunk" in known.out


@pytest.mark.slow
def test_a_backbone(place: Path) -> None:
    example("A backbone", place)
    assert figures(place / "run_tiny")[0]["test"]["l0"] <= 4
    assert json.loads((place / "downstream.json").read_text())["model"] == "TinyVit tiny"
    (unknown,) = run(
        ["saev downstream --sae run_tiny/saes/* --images pictures --k 2 --weights random --out x.json"],
        place,
    )
    assert unknown.status == 1
    assert "names the backbone 'TinyVit', known are clip, " in unknown.err


@pytest.mark.slow
def test_a_source_of_pictures(place: Path) -> None:
    example("A source of pictures", place)
    assert "my_pictures.Stack" in json.loads((place / "of_stack.json").read_text())["images"]
    (grey,) = run(["saev render --run_dir run_stack --data.shards of_stack/* --out grey"], place)
    assert grey.status == 0
    assert GREY in grey.err
    assert "names the source of pictures 'Stack', known are " in grey.err


@pytest.mark.slow
def test_a_metric(place: Path) -> None:
    fit, test = example("A metric", place)
    for found in figures(place / "run_metric"):
        assert found["val"]["largest_code"] > 0
        assert found["test"]["largest_code"] > 0
    for one in (fit, test):
        assert "largest_code" in one.err
    with (place / "run_metric" / "sweep.csv").open() as file:
        assert all(float(row["largest_code"]) > 0 for row in csv.DictReader(file))


@pytest.mark.slow
def test_a_callback(place: Path) -> None:
    example("A callback", place)
    lines = [line.split() for line in (place / "losses.txt").read_text().splitlines()]
    assert [int(step) for step, _ in lines] == [10, 20, 30, 40]
    assert all(float(loss) > 0 for _, loss in lines)
