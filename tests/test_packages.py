"""Which package may import which: the direction of the design, read from the source of every file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import saev

ROOT = Path(saev.__file__).parent
# Each package may import those of the rows above, and itself; everything may import saev (the version) and the
# modules in FREE.
LEVELS = (
    ("scenes",),
    ("nn", "shards", "vit", "metrics"),
    ("artifacts", "recording"),
    ("training",),
    ("latents", "splicing"),
    ("pages",),
    ("gallery", "probing", "interop"),
    ("serving", "modules", "datamodules", "callbacks"),
    ("demo", "cli"),
)
FREE = (
    "", "byte_text", "csv_text", "device", "errors", "files", "free_memory", "host_copy", "lock", "memory", "mixing",
    "progress", "ranges", "registry", "stopping", "threads",
)  # fmt: skip
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)
PACKAGES = sorted({path.relative_to(ROOT).parts[0] for path in FILES})


def imported(path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            if node.module == "saev":
                yield from (f"saev.{alias.name}" for alias in node.names)


def allowed(name: str) -> set[str]:
    level = next(i for i, names in enumerate(LEVELS) if name in names)
    below = {lower for names in LEVELS[:level] for lower in names}
    top = set(LEVELS[level]) if level == len(LEVELS) - 1 else {name}
    return {*FREE, *below, *top}


@pytest.mark.parametrize("name", PACKAGES)
def test_imports_point_downwards(name: str) -> None:
    for path in (ROOT / name).rglob("*.py"):
        modules = [module.split(".") for module in imported(path) if module.split(".")[0] == "saev"]
        packages = {parts[1] if len(parts) > 1 else "" for parts in modules}
        assert packages <= allowed(name), f"{path} imports {packages - allowed(name)}"


WITHOUT_LIGHTNING = [name for name in PACKAGES if name == "serving" or any(name in names for names in LEVELS[:7])]


@pytest.mark.parametrize("name", WITHOUT_LIGHTNING)
def test_only_the_glue_knows_lightning(name: str) -> None:
    for path in (ROOT / name).rglob("*.py"):
        assert not [module for module in imported(path) if module.split(".")[0] == "lightning"], path


def test_every_package_has_a_place() -> None:
    assert {*PACKAGES} <= {name for names in LEVELS for name in names}


def test_there_is_no_drawer_for_everything() -> None:
    assert not [path for path in ROOT.rglob("*") if path.stem in ("utils", "helpers", "common", "misc")]


PARTS_OF_SHARDS = {
    "format": {"format"},
    "reading": {"format", "reading"},
    "tokens": {"format", "reading"},
    "loading": {"format", "reading", "tokens", "loading"},
    "writing": {"format", "reading", "writing"},
}


def test_parts_of_shards_import_only_from_below() -> None:
    for path in sorted((ROOT / "shards").rglob("*.py")):
        part = path.relative_to(ROOT / "shards").with_suffix("").parts[0]
        found = {name.split(".")[2] for name in imported(path) if name.startswith("saev.shards.")}
        assert found <= PARTS_OF_SHARDS.get(part, set()), path


def test_progress_bars_are_made_in_one_place() -> None:
    assert [path for path in FILES if re.search(r"\btqdm\(", path.read_text(encoding="utf-8"))] == []
