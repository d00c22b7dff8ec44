"""docs/extending.md: its examples, written to a directory of a user, through the real commands."""

import csv
import json
import re
import shlex
import urllib.request
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tests.cli.recording import noise, write_pictures
from tests.cli.zygote import finish, start

import saev

PAGE = Path(saev.__file__).parents[2] / "docs" / "extending.md"
SECTIONS = re.split(r"^## (.*)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
GREY = "are shown as grey tiles"


class Ended(NamedTuple):
    """What a command gave."""

    status: int
    out: str
    err: str


def blocks(language: str, section: str) -> list[str]:
    """The blocks of a language in a section."""
    text = SECTIONS[SECTIONS.index(section) + 1]
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(section: str) -> list[str]:
    """The commands of a section, each without the word `saev`."""
    text = "".join(blocks("sh", section)).replace("\\\n", " ")
    return [line.removeprefix("saev ") for line in text.splitlines()]


def run(lines: list[str], cwd: Path) -> list[Ended]:
    """Run command lines one after the other in a directory; a * stands for one path."""
    found = []
    for line in lines:
        argv = [str(next(cwd.glob(part)).relative_to(cwd)) if "*" in part else part for part in shlex.split(line)]
        found.append(Ended(*finish(start(argv, cwd=cwd), timeout=300)))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with pictures and the recording that the examples train on."""
    found = tmp_path_factory.mktemp("user")
    write_pictures(found / "pictures", 8)
    np.save(found / "stack.npy", np.stack([np.asarray(noise(number)) for number in range(8)]))
    whole(run(commands("How a name finds a class"), found))
    return found


def whole(ended: list[Ended]) -> list[Ended]:
    """Commands that have all done their work."""
    for one in ended:
        assert one.status == 0, one.err
        assert GREY not in one.err
    return ended


def example(section: str, place: Path) -> list[Ended]:
    """Write the modules of a section and run its commands."""
    for block in blocks("python", section):
        (place / block.splitlines()[0].removeprefix("# ")).write_text(block)
    return whole(run(commands(section), place))


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
    python = finish(start([], f"import sys; sys.path.append({str(place)!r})", place, module="use_my_sae"))
    assert python[1].splitlines() == ["0.2", "{'d_sae': 32, 'shift': 0.1, 'l1_coeff': 0.3}"], python[2]
    unknown, known = run(["test --run_dir run --data.shards recorded/*", "fit --import my_sae --help"], place)
    assert unknown.status == 1
    assert "names the architecture 'Shrunk', known are Archetypal" in unknown.err.splitlines()[-1]
    assert "--import MODULE" in unknown.err.splitlines()[-1]
    assert re.search(r"One of [^.]*\bShrunk\b", " ".join(known.out.split()))


@pytest.mark.slow
def test_a_backbone(place: Path) -> None:
    example("A backbone", place)
    assert figures(place / "run_tiny")[0]["test"]["l0"] <= 4
    assert json.loads((place / "downstream.json").read_text())["model"] == "TinyVit tiny"
    (unknown,) = run(
        ["downstream --sae run_tiny/saes/* --images pictures --k 2 --weights random --out x.json"],
        place,
    )
    assert unknown.status == 1
    assert "names the backbone 'TinyVit', known are clip, " in unknown.err


@pytest.mark.slow
@pytest.mark.parametrize(("more", "reason"), [(["--import=my_vit"], "None"), ([], "names the backbone 'TinyVit'")])
def test_pictures_through_a_backbone_of_ones_own(more: list[str], reason: str, place: Path) -> None:
    if not (place / "run_tiny").exists():
        example("A backbone", place)
    process = start(["view", "--port=0", "--device=cpu", "--run_dir=run_tiny", *more], cwd=place)
    try:
        address = process.stdout.readline().decode().strip()
        (name,) = (path.name for path in (place / "run_tiny" / "features").iterdir())
        with urllib.request.urlopen(f"{address}{name}/live/state", timeout=60) as response:
            assert reason in str(json.loads(response.read())["reason"])
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_source_of_pictures(place: Path) -> None:
    example("A source of pictures", place)
    assert json.loads((place / "of_stack.json").read_text())["images"] == str(place / "stack.npy")
    (grey,) = run(["render --run_dir run_stack --data.shards of_stack/* --out grey"], place)
    assert grey.status == 0
    assert GREY in grey.err
    (shown,), (not_shown,) = (place.glob(f"{run}/features/*/data/overview.js") for run in ("run_stack", "grey"))
    assert '"brightness"' in shown.read_text()
    assert '"brightness"' not in not_shown.read_text()
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
