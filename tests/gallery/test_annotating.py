"""What is known of an SAE's latents from elsewhere, in galleries that are there."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from tests.cli.fitting import one_line
from tests.conftest import MakeShards
from tests.gallery.test_verdicts import report

import saev
from saev.cli.main import main
from saev.errors import InputError
from saev.gallery.scripts import read_script
from saev.nn import TopK

CHANGED = {"data/overview.js", "latents.csv", "latents.parquet"}


def of_seed(seed: int) -> TopK:
    torch.manual_seed(seed)
    return TopK(8, 24, k=2)


def files(gallery: Path) -> dict[str, bytes]:
    return {str(path.relative_to(gallery)): path.read_bytes() for path in gallery.rglob("*") if path.is_file()}


def said(folder: Path) -> tuple[Any, dict[str, list[object]], list[str]]:
    """The overview, and both tables."""
    script = read_script((folder / "data" / "overview.js").read_text(encoding="ascii"))
    table = pq.read_table(folder / "latents.parquet").to_pydict()
    return script, table, sorted((folder / "latents.csv").read_text().splitlines()[0].split(","))


def test_a_gallery_that_is_annotated_is_the_one_that_is_rendered_with_all(
    make_shards: MakeShards, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sae, (shards, _), (others, _) = of_seed(0), make_shards(9), make_shards(7, images="1" * 64)
    saev.save(sae, tmp_path / "mine")
    saev.save(of_seed(1), tmp_path / "seed")
    known = {"verdicts": [report(tmp_path / "report", sae)], "seeds": [tmp_path / "seed"]}
    for out, given in ("all", known), ("later", {}):
        for images in shards, others:
            saev.render({"mine": sae}, images, tmp_path / out / "features", n_latents=3, **given)
    gallery = tmp_path / "later" / "features" / "mine"
    before = files(gallery)
    (more,) = (gallery / "sets").iterdir()
    argv = ["annotate", f"--sae={tmp_path / 'mine'}", f"--out={tmp_path / 'later'}"]
    assert main([*argv, f"--verdicts={tmp_path / 'report'}", f"--seeds={tmp_path / 'seed'}"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'later'}\n"
    after = files(gallery)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == CHANGED | {f"sets/{more.name}/{name}" for name in CHANGED}
    assert before.keys() == after.keys()
    for folder in gallery, more:
        assert said(folder) == said(tmp_path / "all" / "features" / "mine" / folder.relative_to(gallery))

    assert main([*argv, f"--seeds={tmp_path / 'mine'}"]) == 0  # which is no other one: nothing new is known
    assert files(gallery) == after
    for more_given, message in (
        ([], "nothing to say of latents: give verdicts, interventions or seeds"),
        ([f"--verdicts={tmp_path / 'mine'}"], "verdicts.json"),
    ):
        assert main([*argv, *more_given]) == 1
        assert message in one_line(capsys.readouterr().err)
    with pytest.raises(InputError, match=r"mine is no gallery of this SAE, or of another version: make it with saev"):
        saev.annotate({"mine": of_seed(2)}, tmp_path / "later" / "features", seeds=[of_seed(2)])
    with pytest.raises(InputError, match="which is none of these SAEs"):
        saev.annotate({"mine": of_seed(2)}, tmp_path / "later" / "features", verdicts=known["verdicts"])
    assert files(gallery) == after
