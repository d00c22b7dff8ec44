"""Every numeric option of every command refuses in one line what makes no sense, or works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.fitting import environment


@pytest.mark.slow
def test_extreme_values_of_all_numeric_options(tmp_path: Path) -> None:
    """0, -1, huge numbers and nan, to all options that the parsers know."""
    command = [sys.executable, "-m", "tests.cli.extremes", str(tmp_path)]
    found = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=900, check=False)
    assert found.returncode == 0, found.stderr
    *faults, last = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("{")]
    assert faults == []
    assert last["runs"] > 500
