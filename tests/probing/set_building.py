"""`saev probe build` as tests call it: what it builds, or the line with which it refuses."""

from pathlib import Path

import pytest
from tests.probing.studies import Study

from saev.cli.main import main
from saev.probing.sets.files import read_set
from saev.probing.sets.image_set import ImageSet

Capture = pytest.CaptureFixture[str]


def built(study: Study, hypotheses: Path, out: Path, capsys: Capture, *more: str) -> list[ImageSet]:
    """The sets that a command builds; it prints their directories."""
    capsys.readouterr()
    status = main(study.command(hypotheses, out, *more))
    captured = capsys.readouterr()
    assert status == 0, captured.err
    sets = {Path(line): read_set(Path(line)) for line in captured.out.splitlines()}
    for directory, made in sets.items():
        assert (f"label them on {directory / 'label.html'}" in captured.err) == made.asks_people
    return list(sets.values())


def refused(study: Study, hypotheses: Path, out: Path, capsys: Capture, *more: str) -> str:
    """The one line with which a command refuses; nothing is written."""
    capsys.readouterr()
    assert main(study.command(hypotheses, out, *more)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not out.exists()
    return captured.err.splitlines()[-1]
