"""`saev render`: a plain command, which does what `saev.render` does."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from tests.cli.fitting import fit_options, one_line, sparse_acts
from tests.cli.zygote import finish, start
from tests.conftest import MakeShards
from tests.probing.verdicts.test_verdict_files import VERDICTS

import saev
from saev.artifacts import provenance_of
from saev.cli.given_saes import GivenSaes
from saev.cli.main import main
from saev.latents.encoding import sae_digest
from saev.shards.reading.open import open_shards

Capture = pytest.CaptureFixture[str]
WITHOUT_LIGHTNING = """
import sys
for name in list(sys.modules):
    if name.split(".")[0] == "lightning" or name.startswith(("saev.modules", "saev.datamodules", "saev.callbacks")):
        sys.modules[name] = None  # cannot be imported
    elif name.startswith("saev.cli"):
        del sys.modules[name]
"""


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(40, d_model=16, acts=sparse_acts(40, 7))[0]


@pytest.fixture(scope="module")
def run(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "run"
    argv = fit_options(shards, run, "--model.sweep={sae.k: [2, 4]}", "--visualizer.n_tensorboard=1")
    assert main([*argv, "--data.threads=1", "--visualizer.log_freq_range=[-5, 0]"]) == 0
    return run


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def refusal(argv: list[str], capsys: Capture) -> str:
    capsys.readouterr()
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return one_line(err)


def test_the_command_does_what_the_function_does(shards: Path, run: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "options.yaml").write_text("visualizer: {n_images: 30, seed: 3, sort_by: img, log_freq_range: [-4, 0]}")
    capsys.readouterr()
    argv = ["render", f"--run_dir={run}", f"--out={tmp_path / 'out'}", f"--config={tmp_path / 'options.yaml'}"]
    assert main([*argv, "--visualizer.n_latents=7", "--visualizer.include_latents=[1]", "--device=cpu"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    saes = {path.name: path for path in (run / "saes").iterdir()}
    options = {"n_images": 30, "seed": 3, "sort_by": "img", "log_freq_range": (-4, 0), "n_latents": 7}
    saev.render(saes, shards, tmp_path / "own", include_latents=[1], device="cpu", **options)  # type: ignore[arg-type]
    assert tree(tmp_path / "out" / "features") == tree(tmp_path / "own")
    assert len(saes) == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [("n_latents: 400", None), ("n_latents: 400, max_mb: 400", 400), ("n_latents: 300", 300), ("n_latents: -1", -1)],
)
def test_a_default_of_earlier_versions_is_no_choice_of_the_users(
    tmp_path: Path, capsys: Capture, options: str, expected: int | None
) -> None:
    (tmp_path / "config.yaml").write_text(f"data: {{shards: x}}\nvisualizer: {{top_k: 5, {options}}}\n")
    given = GivenSaes.of([f"--run_dir={tmp_path}"], "render")
    taken = yaml.safe_load(given.options("render"))["visualizer"]
    assert (taken["top_k"], taken.get("n_latents")) == (5, expected)
    assert ("says n_latents: 400, which was the default" in capsys.readouterr().err) == (expected is None)


def test_a_table_of_the_pictures(shards: Path, run: Path, tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "table.csv"
    paths = [record.path for record in open_shards(shards).examples()]
    rows = [f"{path},{'north' if i % 2 else 'south'},{i}" for i, path in enumerate(paths)]
    table.write_text("\n".join(["path,site,depth", *rows]), encoding="utf-8")
    argv = ["render", f"--run_dir={run}", f"--metadata={table}", "--visualizer.n_latents=5", "--device=cpu"]
    assert main([*argv, f"--out={tmp_path / 'out'}"]) == 0
    overview = next((tmp_path / "out").glob("features/*/data/overview.js")).read_text(encoding="ascii")
    assert '"metadata":[{"name":"site","kind":"categorical","values":["north","south"]' in overview
    assert '["site",[' in overview  # labels of that kind
    assert '["depth",[' not in overview  # numbers are none
    saes = {path.name: path for path in (run / "saes").iterdir()}
    saev.render(saes, shards, tmp_path / "own", metadata=table, n_latents=5, log_freq_range=(-5, 0), device="cpu")
    assert tree(tmp_path / "out" / "features") == tree(tmp_path / "own")
    table.write_text("path,site\nnowhere.png,north\n", encoding="utf-8")
    said = refusal([*argv, f"--out={tmp_path / 'none'}"], capsys)
    assert "1 of 1 rows are of pictures that were not recorded, first 'nowhere.png'" in said


def test_verdicts_and_seeds(run: Path, tmp_path: Path, capsys: Capture) -> None:
    small, large = sorted((run / "saes").iterdir())
    value = VERDICTS.to_dict() | {"sae": sae_digest(saev.load(small))}
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "verdicts.json").write_text(json.dumps(value), encoding="utf-8")
    again = saev.load(large)
    about = provenance_of(again)
    again.provenance = replace(about, training={**about.training, "seed": 5})
    with torch.no_grad():
        again.W_dec[0] = -again.W_dec[0]
    saev.save(again, tmp_path / "again")
    argv = ["render", f"--run_dir={run}", f"--verdicts=[{tmp_path / 'report'}]", f"--seeds=[{tmp_path / 'again'}]"]
    assert main([*argv, f"--out={tmp_path / 'out'}", "--visualizer.n_latents=3"]) == 0
    scripts = [tmp_path / "out" / "features" / one.name / "data" / "overview.js" for one in (small, large)]
    first, second = (script.read_text(encoding="ascii") for script in scripts)
    assert '"verdicts":[{"standing":"exploratory"' in first
    assert '"verdicts"' not in second
    assert '"seeds"' not in first
    assert '"seeds":{"n":1,"least":0.7' in second
    value["sae"] = "0" * 64
    (tmp_path / "report" / "verdicts.json").write_text(json.dumps(value), encoding="utf-8")
    said = refusal([*argv, f"--out={tmp_path / 'none'}"], capsys)
    assert f"{tmp_path / 'report'} is a report on the SAE {'0' * 64}, which is none of these SAEs" in said


def test_it_needs_no_lightning(run: Path, tmp_path: Path) -> None:
    argv = ["render", f"--run_dir={run}", f"--out={tmp_path / 'out'}", "--trainer.accelerator=cpu"]
    status, out, err = finish(start(argv, WITHOUT_LIGHTNING))
    assert (status, out) == (0, f"{tmp_path / 'out'}\n"), err
    assert len(list((tmp_path / "out" / "features").iterdir())) == 2
    argv = ["test", f"--run_dir={run}", f"--out={tmp_path / 'more'}"]
    assert "import of lightning halted" in finish(start(argv, WITHOUT_LIGHTNING))[2]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--trainer.devices=2", "has no trainer and works in one process, on the --device: leave --trainer.devices=2"),
        ("--model.seed=1", "takes SAEs as they were saved: leave --model.seed=1 out"),
        ("--visualizer.n_tensorboard=3", "writes nothing for TensorBoard: leave --visualizer.n_tensorboard=3 out"),
        ("--data.batch_size=3", "neither trains nor evaluates: leave --data.batch_size=3 out"),
        ("--data.tookens=cls", "there is no option --data.tookens; did you mean --data.tokens"),
        ("--data.tokens=cls", "the SAE was trained on content tokens, --data.tokens is cls"),
        ("--data.share=0", "share=0.0 must be above 0"),
        ("--visualizer.top_k=0", "top_k=0"),
        ("--device=abacus", "--device abacus cannot be used here, cpu"),
        ("--trainer.accelerator=tpu", "expected one of 'auto', 'cpu', 'gpu', 'cuda', 'mps', got tpu"),
    ],
)
def test_what_makes_no_sense_is_refused(more: str, said: str, run: Path, tmp_path: Path, capsys: Capture) -> None:
    before = tree(run)
    assert said in refusal(["render", f"--run_dir={run}", f"--out={tmp_path / 'out'}", more], capsys)
    assert tree(run) == before
    assert not (tmp_path / "out").exists()


def test_the_device_is_given_once(run: Path, capsys: Capture) -> None:
    argv = ["render", f"--run_dir={run}", "--device=cpu", "--trainer.accelerator=gpu"]
    assert "--device cpu and --trainer.accelerator gpu: give one of them" in refusal(argv, capsys)
