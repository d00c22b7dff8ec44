"""`--writer.dtype int8`: from pictures over shards to an SAE and its gallery."""

from pathlib import Path

import pytest
import torch
from tests.cli.fitting import fit_options, html_files, metrics, only
from tests.cli.recording import folder, metadata, options, recorded, write_pictures

import saev
from saev.cli.main import main
from saev.shards.format.dtypes import decode, encode
from saev.shards.reading.open import open_shards


def test_int8_shards_are_recorded_described_and_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = write_pictures(tmp_path / "pictures", 6)
    (plain,) = recorded(options(tmp_path / "shards", folder(pictures)), capsys)
    (directory,) = recorded(options(tmp_path / "shards", folder(pictures), "--writer.dtype=int8"), capsys)
    acts = open_shards(plain).read(0, 6)
    assert torch.equal(open_shards(directory).read(0, 6), decode(encode(acts, "int8"), "int8"))
    assert (metadata(directory)["dtype"], metadata(directory)["protocol"]) == ("int8", "3.0")

    assert main(["shards", "verify", str(directory)]) == 0
    assert main(["shards", "info", str(directory)]) == 0
    assert f"int8, {acts.shape[2] + 4} bytes a token" in capsys.readouterr().out

    run_dir = tmp_path / "run"
    assert main(fit_options(directory, run_dir, "--data.val_share=0.5", "--data.batch_size=16")) == 0
    assert metrics(run_dir)["val"]["fvu"] < 1
    assert saev.load(only(run_dir, "saes/*")).encode(acts).shape == (*acts.shape[:2], 48)
    assert len(list(html_files(run_dir))) == 1
