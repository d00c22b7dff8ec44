"""`saev encode`, and `saev render` from what it wrote."""

import json
from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, only
from tests.conftest import MakeShards

from saev.cli.main import main


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_run_is_rendered_from_saved_codes(
    make_shards: MakeShards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards, run = make_shards(images="8" * 64)[0], tmp_path / "run"
    assert main(fit_options(shards, run)) == 0
    sae, codes = only(run, "saes/*"), tmp_path / "codes"
    command = ["encode", f"--sae={sae}", f"--shards={shards}", f"--out={codes}", "--device=cpu", "--file_bytes=1000"]
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out == f"{codes}\n"
    assert json.loads((codes / "codes.json").read_bytes())["tokens"] == "content"
    render = ["render", f"--run_dir={run}", "--trainer.accelerator=cpu"]
    assert main([*render, f"--out={tmp_path / 'encoded'}"]) == 0
    assert main([*render, f"--out={tmp_path / 'saved'}", f"--codes=[{codes}]"]) == 0
    assert tree(tmp_path / "saved" / "features") == tree(tmp_path / "encoded" / "features")

    other = make_shards(images="9" * 64, ckpt="other_vit")[0]
    capsys.readouterr()
    assert main([*command, f"--shards={other}", f"--out={tmp_path / 'more'}"]) == 1
    assert "trained on ckpt test_vit" in capsys.readouterr().err
    assert main([*command, "--tokens=cls", f"--out={tmp_path / 'more'}"]) == 1
    assert "the SAE was trained on content tokens, not on cls: leave tokens out" in capsys.readouterr().err
    assert main(["test", f"--run_dir={run}", f"--codes=[{codes}]"]) == 1
    assert main([*render, f"--codes={run}"]) == 1
    assert f"{run} holds no codes.json: give a directory that `saev encode` printed" in capsys.readouterr().err
    assert not (tmp_path / "more").exists()
