"""What an intervention leaves: interventions.json, effects.csv and index.html, in a directory that is whole.

docs/files.md describes them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from saev.csv_text import csv_text
from saev.errors import InputError
from saev.files import check_writable, new_directory
from saev.probing.interventions.effects import Figure
from saev.probing.interventions.page import page
from saev.probing.interventions.pictures import Chosen
from saev.probing.interventions.study import Studied
from saev.splicing.interventions_file import FILE, FORMAT, VERSION

COLUMNS: Final = ("figure", "picture", "class", "untouched", "edited", "random")


def check_out(out: Path) -> Path:
    """The directory for the results, which is not there yet and can be made.

    Raises:
        InputError: If it is there, or cannot be made.
    """
    if out.exists() or out.is_symlink():
        raise InputError(f"--out {out} is there already: what was measured is not overwritten, name another directory")
    check_writable(out.absolute().parent)
    return out


def write_study(out: Path, facts: Mapping[str, Any], found: Studied, chosen: Chosen) -> Path:
    """Write all files, and return the directory.

    Args:
        out: A directory that is not there.
        facts: What was asked for.
        found: What was found.

    Raises:
        InputError: If the disk does not take it.
    """
    result = {"format": FORMAT, "version": VERSION, **facts, **found.facts}
    files = {
        FILE: (json.dumps(result, indent=1, allow_nan=False) + "\n").encode("ascii"),
        "effects.csv": _table(found.figures, chosen).encode("utf-8", "surrogatepass"),
        "index.html": page(result, found.shown),
    }
    with new_directory(out) as partial:
        for name, data in files.items():
            (partial / name).write_bytes(data)
    return out


def _table(figures: Sequence[Figure], chosen: Chosen) -> str:
    """A line for each figure of each picture."""
    names = chosen.names
    rows = [
        (one.name, names[picture], chosen.labels[picture], *map(float, values))
        for one in figures
        for picture, *values in zip(
            (chosen.measured[place] for place in one.pictures), one.untouched_i, one.edited_i, one.random_i, strict=True
        )
    ]
    return csv_text(COLUMNS, rows)
