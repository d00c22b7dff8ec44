"""Every numeric option of every command refuses in one line what makes no sense, or works."""

import json
from pathlib import Path

import pytest
from tests.cli.zygote import finish, start


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.daily)])
def test_extreme_values_of_all_numeric_options(step: int, tmp_path: Path) -> None:
    """0, -1, huge numbers and nan, to all options that the parsers know."""
    status, out, err = finish(start([str(tmp_path), str(step)], module="tests.cli.extremes"), 900)
    assert status == 0, err
    *faults, last = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert faults == []
    assert last["runs"] > 700 / step
