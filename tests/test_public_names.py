"""The names that `import saev` offers."""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import saev


def test_every_public_name_is_there_for_users_and_for_type_checkers() -> None:
    tree = ast.parse(Path(saev.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.asname: f"{node.module}:{alias.name}"
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    lazy = {name: place if ":" in place else f"{place}:{name}" for name, place in saev._PLACES.items()}
    assert lazy == typed
    assert all(getattr(saev, name) is not None for name in lazy)
    assert set(lazy) <= set(dir(saev))
    given: dict[str, object] = {}
    exec("from saev import *", given)
    assert given.keys() - {"__builtins__"} == set(lazy)


def test_import_saev_imports_neither_torch_nor_lightning() -> None:
    lines = "import sys, saev; print(sorted({'torch', 'lightning', 'numpy', 'jsonargparse'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("name", saev._PLACES)
def test_every_public_name_says_what_it_takes_and_raises_and_has_an_example_that_runs(name: str) -> None:
    text = inspect.getdoc(getattr(saev, name))
    assert text is not None
    examples = doctest.DocTestParser().get_examples(text)
    assert any(example.want for example in examples if doctest.SKIP not in example.options)
    assert "Args:" in text
    assert "Raises:" in text or name == "Provenance"  # which takes everything
