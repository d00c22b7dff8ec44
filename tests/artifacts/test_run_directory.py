"""The paths of a run and its options, which are read as untrusted."""

from pathlib import Path

import pytest

import saev
from saev.artifacts import RunDirectory
from saev.artifacts.metrics_file import add_metrics, read_metrics
from saev.errors import InputError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("data: {shards: /a, layer: null}", ("/a", None)),
        ("data: {shards: [/a, /b], layer: 3}", ("/a", 3)),
        ("data: {shards: []}", None),
        ("data: [1]", None),
        ("[", None),
        ("", None),
    ],
)
def test_shards_of_a_run(tmp_path: Path, text: str, found: tuple[str, int | None] | None) -> None:
    (tmp_path / "config.yaml").write_text(text)
    if found is not None:
        assert RunDirectory(tmp_path).shards() == (Path(found[0]), found[1])
        return
    with pytest.raises(InputError, match="not the configuration of a run"):
        RunDirectory(tmp_path).shards()


def test_saes_and_their_figures_by_name(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    assert run.names() == []
    with pytest.raises(InputError, match="has `saev fit"):
        run.load_saes()
    for name in ("b", "a"):
        saev.save(saev.TopK(6, d_sae=12, k=3), run.sae(name))
        add_metrics(run.metrics(name), {"val": {"fvu": 0.5}})
    (run.saes / "c").mkdir()
    assert run.names() == list(run.load_saes()) == ["a", "b"]
    assert read_metrics(run.metrics("a")) == {"val": {"fvu": 0.5}}


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, said in (("none", "does not exist"), ("file", "is a file")):
        with pytest.raises(InputError, match=f"{name} {said}: give the directory of a run, --run_dir RUN"):
            RunDirectory(tmp_path / name).check()
