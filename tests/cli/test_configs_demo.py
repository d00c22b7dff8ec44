"""Both files of configs/demo run, by one process and by two, with their sizes brought down."""

from pathlib import Path

import torch
import yaml
from tests.cli.fitting import metrics, only
from tests.cli.recording import activations
from tests.cli.zygote import finish, start

from saev.demo.folder import DemoOptions
from saev.demo.learning import BATCH_SIZE, D_SAE, K, n_tokens
from saev.demo.steps import CLIP, LAYER

ON_CPU = "--trainer.accelerator=cpu"
CONFIGS = Path(__file__).parents[2] / "configs" / "demo"
SAE = yaml.safe_load((CONFIGS / "fit.yaml").read_text())["model"]["sae"]["init_args"]
N = 120


def predict(out: Path, *more: str) -> list[str]:
    small = [f"--data.images.n_scenes={N}", "--writer.n_patches_per_shard=4000", "--data.num_workers=0"]
    return ["predict", f"--config={CONFIGS / 'predict.yaml'}", f"--writer.dump_to={out}", *small, ON_CPU, *more]


def fit(shards: Path, run_dir: Path, *more: str) -> list[str]:
    small = ["--data.n_tokens=25600", "--visualizer.n_latents=2"]
    own = [f"--data.shards={shards}", f"--run_dir={run_dir}"]
    return ["fit", f"--config={CONFIGS / 'fit.yaml'}", *own, *small, ON_CPU, *more]


def whole(argv: list[str]) -> str:
    status, out, err = finish(start(argv), timeout=300)
    assert status == 0, err
    return out


def test_one_process_and_two_record_and_train(tmp_path: Path) -> None:
    for name, more in (("one", []), ("two", ["--trainer.devices=2"])):
        (shards,) = whole(predict(tmp_path / name, *more)).splitlines()
        assert whole(fit(Path(shards), tmp_path / f"run-{name}", *more)) == f"{tmp_path / f'run-{name}'}\n"
        figures = metrics(tmp_path / f"run-{name}")["val"]
        assert (figures["fvu"] < 0.5, figures["l0"]) == (True, SAE["k"])
        assert only(tmp_path / f"run-{name}", "features/*/index.html").is_file()
    one, two = (activations(only(tmp_path / name, "*")) for name in ("one", "two"))
    assert one.shape == (N, 65, 128)
    assert torch.equal(one, two)


def test_they_are_what_the_demo_does() -> None:
    by_default = DemoOptions()
    recorded, fitted = (yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) for name in ("predict", "fit"))
    scenes = {"n_scenes": by_default.n_scenes, "seed": by_default.seed}
    assert recorded == {
        "model": {"family": "clip", "ckpt": CLIP, "layers": [LAYER]},
        "data": {"images": {"class_path": "DemoScenes", "init_args": scenes}},
    }
    assert fitted == {
        "model": {"sae": {"class_path": "TopK", "init_args": {"d_sae": D_SAE, "k": K}}},
        "data": {"n_tokens": n_tokens(by_default.n_scenes), "batch_size": BATCH_SIZE},
    }
