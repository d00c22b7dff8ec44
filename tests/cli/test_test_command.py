"""`saev test` and `saev validate` on a finished run."""

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.fitting import fit_options, metrics, numpy_fvu, only, refusal, sparse_acts
from tests.conftest import MakeShards
from torch import Tensor

import saev
from saev.cli.main import main
from saev.gallery.image_sets import read_sets

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def data(make_shards: MakeShards) -> tuple[Path, Tensor]:
    return make_shards(40, d_model=16, acts=sparse_acts(40, 7))


@pytest.fixture(scope="module")
def finished(data: tuple[Path, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("runs") / "run"
    assert main(fit_options(data[0], run_dir)) == 0
    return run_dir


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run: it may have been moved."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_other_shards_by_relative_paths(
    run: Path, make_shards: MakeShards, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    shards, acts = make_shards(9, d_model=16, acts=sparse_acts(9, 7), name="other")
    page = only(run, "features/*/index.html")
    val = metrics(run)["val"]
    shutil.copytree(shards, run.parent / "S")
    monkeypatch.chdir(run.parent)
    capsys.readouterr()
    assert main(["test", "--run_dir", "run", "--data.shards", "S"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{run}\n"
    expected = numpy_fvu(saev.load(only(run, "saes/*")), acts[:, 1:].flatten(0, 1), k=4)
    assert metrics(run)["test"]["fvu"] == pytest.approx(expected, rel=1e-4)
    assert_told(printed.err, metrics(run)["test"], "test")
    assert printed.err.count("Testing DataLoader 0: 100%") == 1 and "\r" not in printed.err, "no terminal: a line"
    assert metrics(run)["val"] == val
    assert '"9"' in only(page.parent, "sets/*/data/overview.js").read_text()


def assert_told(err: str, values: dict[str, float], what: str = "held-out") -> None:
    """A table of one SAE, and where there is more."""
    head, row, more = err.splitlines()[-3:]
    assert head.split() == ["on", what, "tokens", "L0", "FVU", "dead"]
    assert row.split()[1:] == [f"{values['l0']:.2f}", f"{values['fvu']:.4f}", f"{values['dead']:.1%}"]
    assert more.startswith("all figures: ") and more.endswith("/run/saes/*/metrics.json")


def test_validate_tells_its_figures(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(run.parent)
    capsys.readouterr()
    assert main(["validate", "--run_dir", "run"]) == 0
    assert_told(capsys.readouterr().err, metrics(run)["val"])


def test_on_the_shards_of_the_run_the_held_out_images_are_tested_and_shown_beside_the_others(run: Path) -> None:
    assert main(["test", f"--run_dir={run}"]) == 0
    assert metrics(run)["test"] == metrics(run)["val"]
    gallery = only(run, "features/*/index.html").parent
    first = gallery / "data" / "overview.js"
    tested = gallery / "sets" / "held_out" / "data" / "overview.js"
    figures = f"{metrics(run)['train']['fvu']:.4g} (last batch), {metrics(run)['val']['fvu']:.4g} (held out)"
    assert '["split","training"],["images","38 of 40"]' in first.read_text() and figures in first.read_text()
    assert '["split","held out"],["images","2 of 40"]' in tested.read_text()
    assert f'["FVU","{metrics(run)["test"]["fvu"]:.4g}"]' in tested.read_text()
    before = tested.read_bytes()
    assert main(["render", f"--run_dir={run}", "--visualizer.n_latents=5", "--device=cpu"]) == 0
    assert [one.name for one in read_sets(gallery)] == ["training", "held_out"]
    assert tested.read_bytes() == before and len(list((gallery / "data" / "latents").iterdir())) == 5
    assert '["images","38 of 40"]' in first.read_text() and figures in first.read_text()


def test_the_help_leaves_out_what_only_training_uses(capsys: Capture) -> None:
    for command, there in (("fit", True), ("test", False)):
        with pytest.raises(SystemExit):
            main([command, "--help_all"])
        text = capsys.readouterr().out
        for option in ("--model.lr", "--checkpoint.every_n_steps", "--trainer.max_steps"):
            assert (option in text) is there
        assert "--data.shards" in text
        assert "seed_everything" not in text


def test_shards_of_another_layer_are_refused(run: Path, make_shards: MakeShards, capsys: Capture) -> None:
    other, _ = make_shards(9, d_model=16, name="other", layer=4)
    assert "layer 3," in (said := refusal(["test", f"--run_dir={run}", f"--data.shards={other}"], capsys))
    assert "has 4: give shards of the same ViT" in said


def test_each_exported_sae_is_tested_as_it_is(run: Path, make_shards: MakeShards) -> None:
    """A second SAE with another k beside the first: each gets its own numbers."""
    first = only(run, "saes/*")
    second = run / "saes" / "topk-d_sae32-k2"
    shutil.copytree(first, second)
    config = json.loads((second / "config.json").read_text())
    (second / "config.json").write_text(json.dumps({**config, "k": 2}))
    sae = saev.load(second)
    second = second.rename(second.with_name(sae.name))
    shards, acts = make_shards(9, d_model=16, acts=sparse_acts(9, 7), name="other")
    assert main(["test", f"--run_dir={run}", f"--data.shards={shards}", "--visualizer.n_latents=0"]) == 0
    for directory, k in ((first, 4), (second, 2)):
        expected = numpy_fvu(saev.load(directory), acts[:, 1:].flatten(0, 1), k=k)
        found = json.loads((directory / "metrics.json").read_text())["test"]["fvu"]
        assert found == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("option", ["--model.sae.k=2", "--ckpt_path=x"])
def test_the_saes_are_those_of_the_run(run: Path, option: str, capsys: Capture) -> None:
    assert "leave" in refusal(["test", f"--run_dir={run}", option], capsys)


def test_validate_finds_what_fit_found(run: Path, capsys: Capture) -> None:
    found = metrics(run)
    path = only(run, "saes/*/metrics.json")
    content = path.read_bytes()
    path.unlink()
    capsys.readouterr()
    assert main(["validate", f"--run_dir={run}"]) == 0
    assert capsys.readouterr().out == f"{run}\n"
    assert metrics(run)["val"] == found["val"]
    path.write_bytes(content)


def test_the_checkpoint_and_the_configuration_stay(run: Path) -> None:
    files = [run / "config.yaml", run / "checkpoints" / "last.ckpt", only(run, "saes/*/sae.safetensors")]
    before = [path.read_bytes() for path in files]
    assert main(["test", f"--run_dir={run}"]) == 0
    assert [path.read_bytes() for path in files] == before


def test_what_is_refused(run: Path, make_shards: MakeShards, tmp_path: Path, capsys: Capture) -> None:
    assert "--run_dir RUN" in refusal(["test"], capsys)
    assert "holds no config.yaml" in refusal(["test", f"--run_dir={tmp_path}"], capsys)
    assert "none does not exist" in refusal(["validate", f"--run_dir={tmp_path / 'none'}"], capsys)
    other, _ = make_shards(5, d_model=4)
    said = refusal(["test", f"--run_dir={run}", f"--data.shards={other}"], capsys)
    assert "takes activations of width 16" in said
    assert "has 4: give shards of the same ViT" in said
    said = refusal(["validate", f"--run_dir={run}", "--data.val_share=0"], capsys)
    assert "no images were held out" in said
    assert "no such directory" in refusal(["test", f"--run_dir={run}", "--data.shards=nowhere"], capsys)


@pytest.mark.parametrize("command", ["test", "validate"])
def test_damaged_runs(run: Path, command: str, capsys: Capture) -> None:
    weights = only(run, "saes/*/sae.safetensors")
    weights.write_bytes(weights.read_bytes()[:100])
    assert "sae.safetensors is damaged or no file of weights" in refusal([command, f"--run_dir={run}"], capsys)
    shutil.rmtree(run / "saes")
    assert "has `saev fit --run_dir" in refusal([command, f"--run_dir={run}"], capsys)
    (run / "config.yaml").write_text("model: [")
    assert "config" in refusal([command, f"--run_dir={run}"], capsys)


def test_other_seeds_do_not_make_training_images_held_out(run: Path, capsys: Capture) -> None:
    options = [f"--run_dir={run}", "--data.seed=9", "--data.val_share=0.9"]
    assert "that trained the SAE" in refusal(["validate", *options], capsys)
    assert main(["test", *options]) == 0
    assert metrics(run)["test"] == metrics(run)["val"]


def test_training_shards_of_a_run_with_val_shards_are_refused(
    data: tuple[Path, Tensor], make_shards: MakeShards, tmp_path: Path, capsys: Capture
) -> None:
    other, _ = make_shards(9, d_model=16, acts=sparse_acts(9, 7), name="other")
    assert main([*fit_options(data[0], tmp_path / "run"), f"--data.val_shards={other}"]) == 0
    assert "no images were held out" in refusal(["test", f"--run_dir={tmp_path / 'run'}"], capsys)
    assert main(["validate", f"--run_dir={tmp_path / 'run'}"]) == 0
    for command in ("test", "render"):  # on what the run was validated with
        assert main([command, f"--run_dir={tmp_path / 'run'}", f"--data.shards={other}"]) == 0
    assert metrics(tmp_path / "run")["test"] == metrics(tmp_path / "run")["val"]
    sets = read_sets(only(tmp_path / "run", "features/*"))
    assert [(one.name, one.title) for one in sets] == [("training", "training"), ("held_out", "held out")]
    argv = ["render", f"--run_dir={tmp_path / 'run'}", f"--data.shards={other}", "--data.share=0.5"]
    assert "has an image set held_out of other images" in refusal(argv, capsys)
    assert main([*argv, "--visualizer.image_set=half"]) == 0
    assert len(read_sets(only(tmp_path / "run", "features/*"))) == 3


def test_what_trained_the_saes_of_a_sweep_is_said_once(
    data: tuple[Path, Tensor], tmp_path: Path, capsys: Capture
) -> None:
    run = tmp_path / "run"
    assert main(fit_options(data[0], run, "--model.sweep={sae.k: [2, 3, 4]}", "--visualizer.n_latents=0")) == 0
    capsys.readouterr()
    assert main(["test", f"--run_dir={run}"]) == 0
    assert capsys.readouterr().err.count("testing on the images that were held out") == 1
    for path in run.glob("saes/*/metrics.json"):
        found = json.loads(path.read_text())
        assert found["test"] == found["val"]


def test_another_kind_of_tokens_is_refused(run: Path, capsys: Capture) -> None:
    assert "--data.tokens is cls" in refusal(["test", f"--run_dir={run}", "--data.tokens=cls"], capsys)


def test_evaluation_leaves_the_curves_of_the_run_alone(run: Path) -> None:
    before = sorted(path.name for path in run.glob("events*"))
    assert main(["test", f"--run_dir={run}"]) == 0
    assert sorted(path.name for path in run.glob("events*")) == before
