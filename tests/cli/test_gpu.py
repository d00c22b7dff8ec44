"""All steps on a GPU, compared with the CPU."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.cli.fitting import fit_options, only, sparse_acts
from tests.cli.recording import activations, folder, options, recorded, write_pictures
from tests.conftest import MakeShards

from saev.cli.main import main

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
ON_GPU = "--trainer.accelerator=gpu"


def test_activations_are_those_of_the_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = folder(write_pictures(tmp_path / "pictures"))
    (on_cpu,) = recorded(options(tmp_path / "cpu", pictures), capsys)
    (on_gpu,) = recorded(options(tmp_path / "gpu", pictures, ON_GPU), capsys)
    assert on_cpu.name == on_gpu.name
    torch.testing.assert_close(activations(on_gpu), activations(on_cpu), rtol=1e-3, atol=1e-4)
    (halves,) = recorded(options(tmp_path / "half", pictures, ON_GPU, "--writer.dtype=bfloat16"), capsys)
    torch.testing.assert_close(activations(halves).float(), activations(on_gpu), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("architecture", ["TopK", "BatchTopK", "Matryoshka"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_training(architecture: str, precision: str, make_shards: MakeShards, tmp_path: Path) -> None:
    shards, _ = make_shards(200, d_model=16, grid=(4, 4), max_tokens=4000, acts=sparse_acts(200, 17))
    more = [f"--model.sae={architecture}", "--data.n_tokens=25600", "--model.sae.d_sae=64"]
    found = {}
    for name, where in {"cpu": [], "gpu": [ON_GPU], "again": [ON_GPU]}.items():
        run = tmp_path / name
        assert main([*fit_options(shards, run, *more, f"--trainer.precision={precision}", *where)]) == 0
        assert main(["validate", f"--run_dir={run}", *where]) == 0
        metrics = json.loads(only(run, "saes/*/metrics.json").read_text())
        found[name] = metrics["val"]["fvu"]
        assert only(run, "features/**/index.html")
    assert found["gpu"] == pytest.approx(found["cpu"], abs=0.05)
    weights = [load_file(only(tmp_path / name, "saes/*/*.safetensors")) for name in ("gpu", "again")]
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name]), name  # nothing is added up in an order that changes
