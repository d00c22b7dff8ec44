"""`saev demo` from the first picture to the page."""

from pathlib import Path

import pytest
from tests.cli.fitting import metrics, one_line, only

from saev.cli.main import main

Capture = pytest.CaptureFixture[str]


@pytest.mark.slow
def test_demo_ends_with_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--out", "out", "--n_images", "10", "--n_tokens", "4096"]) == 0
    out, err = capsys.readouterr()
    page = only(tmp_path, "out/run/features/*/index.html")
    assert out == f"{page}\n"
    assert "$ saev predict" in err
    assert "$ saev fit" in err
    assert len(list((tmp_path / "out" / "pictures").rglob("*.jpg"))) == 10
    assert len(list(page.parent.glob("images/*.jpg"))) > 0
    assert "grey tiles" not in err
    assert metrics(tmp_path / "out" / "run")["val"]["fvu"] < 1


def test_demo_refuses(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "mine").write_text("x")
    for options, said in (
        (["--out", str(tmp_path)], "is not empty: give another directory, or remove it"),
        (["--out", str(tmp_path / "new"), "--n_images", "9"], "at least 10 pictures"),
    ):
        assert main(["demo", *options]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert said in one_line(err)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
