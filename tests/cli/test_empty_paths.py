"""An empty path, as of a variable of the shell that is not set, is refused: it would be the working directory."""

from pathlib import Path

import pytest
from tests.cli.fitting import one_line

from saev.cli.main import main

RUN = "--run_dir=RUN"
PREDICT = ["predict", "--model.family=timm", "--model.ckpt=test_vit", "--model.weights=random", "--model.layers=[0]"]
SOURCES = [("ImageFolder", "root"), ("SegmentationFolder", "root"), ("ImageList", "file")]
PICTURES = ["downstream", "--sae=SAE", "--images=PICTURES", "--out=FILE"]


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        *((["fit", "--data.shards=SHARDS", RUN], option) for option in ("--run_dir", "--data.shards")),
        (["fit", "--data.shards=SHARDS", RUN], "--data.val_shards"),
        (["fit", "--data.shards=SHARDS", RUN], "--data.examples"),
        (["fit", "--data.shards=SHARDS", RUN], "--visualizer.vocabulary"),
        *(([command], "--run_dir") for command in ("validate", "test", "render", "view")),
        (["view", RUN], "--shards"),
        *((PICTURES, option) for option in ("--sae", "--images", "--out")),
        (["demo"], "--out"),
        (["predict", "--model.family=timm"], "--writer.dump_to"),
        *(
            ([*PREDICT, "--writer.dump_to=OUT", f"--data.images={source}"], f"--data.images.{option}")
            for source, option in SOURCES
        ),
    ],
)
def test_an_empty_path(
    argv: list[str],
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        assert main([*argv, f"{option}="]) == 1
        said = one_line(capsys.readouterr().err)
    except SystemExit as end:  # as argparse ends
        assert end.code == 2
        said = capsys.readouterr().err
    assert option.lstrip("-") in said
    assert "an empty name is no path" in said or "give the directory of a finished run" in said
    assert not list(tmp_path.iterdir())
