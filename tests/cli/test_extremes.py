"""Every numeric option of every command refuses in one line what makes no sense, or works."""

import json
from pathlib import Path

import pytest
from tests.cli.zygote import finish, start


@pytest.mark.slow
def test_extreme_values_of_all_numeric_options(every: int, tmp_path: Path) -> None:
    """0, -1, huge numbers and nan, to all options that the parsers know."""
    status, out, err = finish(start([str(tmp_path), str(every)], module="tests.cli.extremes"), 900)
    assert status == 0, err
    *faults, last = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert faults == []
    assert last["runs"] > 700 / every
