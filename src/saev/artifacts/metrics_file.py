"""metrics.json: what was measured on an SAE."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saev.errors import InputError, one_line, tell
from saev.files import read_regular, write_whole
from saev.shards.format.strict_json import parse_json

METRICS_FILE = "metrics.json"
MAX_METRICS_BYTES = 2**26

Figures = dict[str, Any]
"""Numbers, lists of them, and null, by name."""


class _DamagedError(Exception):
    """The file holds no figures by stage: a kill could leave half of it before files were replaced in one step."""


def read_metrics(path: Path, *, quiet: bool = False) -> dict[str, Figures]:
    """The figures by stage, "val" and "test"; of a file that is missing none, nor of a damaged one, which is
    said unless `quiet`.

    Raises:
        InputError: If the file is there and cannot be read.
    """
    try:
        return _read(path)
    except _DamagedError as error:
        if not quiet:
            tell(f"{path} is damaged ({error}): left out")
        return {}


def add_metrics(path: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Add what was measured now, by stage, to what was before. A damaged file is kept beside, which is said.

    Raises:
        InputError: If the disk does not take it; the file is then as before.
    """
    try:
        before = _read(path)
    except _DamagedError as error:
        before = {}
        _put_aside(path, error)
    write_metrics(path, {**before, **found})


def write_metrics(path: Path, metrics: Mapping[str, Mapping[str, Any]]) -> None:
    """Write figures by stage, in the place of those that are there.

    Raises:
        InputError: If the disk does not take it; the file is then as before.
    """
    found = {stage: finite(values) for stage, values in metrics.items()}
    write_whole(path, (json.dumps(found, indent=2) + "\n").encode())


def finite(values: Mapping[str, Any]) -> Figures:
    """As JSON knows numbers: what is infinite or undefined is null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in values.items()
    }


def _read(path: Path) -> dict[str, Figures]:
    if not os.path.lexists(path):
        return {}
    data = read_regular(path, MAX_METRICS_BYTES)
    try:
        metrics = parse_json(data, "its content")
    except InputError as error:
        raise _DamagedError(one_line(error) if data else "it is empty") from error
    if not isinstance(metrics, dict) or not all(isinstance(figures, dict) for figures in metrics.values()):
        raise _DamagedError("it holds no figures by stage")
    return metrics


def _put_aside(path: Path, error: _DamagedError) -> None:
    aside = path.with_name(f"{path.name}.damaged")
    try:
        path.replace(aside)
    except OSError as fault:
        raise InputError(f"{path} is damaged ({error}) and cannot be moved away ({fault.strerror})") from fault
    tell(f"{path} is damaged ({error}): kept as {aside.name}, begun anew")
