"""The notebooks of the documentation run from the first cell to the last, offline and without a warning."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import saev

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


def code_cells(name: str) -> list[dict[str, Any]]:
    cells = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run(name: str) -> dict[str, Any]:
    """Run a notebook in the current directory, as Jupyter would; returns its variables."""
    variables: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(code_cells(name), 1):
        exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), variables)
    return variables


def test_first_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    try:
        found = run("first_steps.ipynb")
        figure = found["figure"]
        figure.canvas.draw()
        picture, heatmap = (np.asarray(axes.images[0].get_array()) for axes in figure.axes)
    finally:
        plt.close("all")
    assert found["sae"].metrics["val"]["l0"] == pytest.approx(8)
    assert found["sae"].metrics["val"]["fvu"] < 0.7
    assert picture.shape == heatmap.shape == (224, 224, 3)
    assert not np.array_equal(picture, heatmap)
    assert not torch.equal(found["before"], found["after"])
    assert saev.load("sae").k == 8


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_kept_without_outputs(path: Path) -> None:
    assert [(cell["execution_count"], cell["outputs"]) for cell in code_cells(path.name)] == [
        (None, []) for _ in code_cells(path.name)
    ]


def test_the_readme_shows_lines_of_the_notebook() -> None:
    readme = (NOTEBOOKS.parents[1] / "README.md").read_text(encoding="utf-8")
    block = readme.partition("## From Python\n\n```python\n")[2].partition("```")[0]
    lines = {line.rstrip() for cell in code_cells("first_steps.ipynb") for line in cell["source"]}
    assert set(block.splitlines()) - {""} <= lines
    assert len(block.splitlines()) > 10
