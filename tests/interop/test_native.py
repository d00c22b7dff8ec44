import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.nn.small_saes import D_IN, SMALL, build

import saev
from saev.errors import InputError
from saev.interop import load_run, save_sae
from saev.nn import TopK


@pytest.mark.parametrize("case", sorted(SMALL))
def test_a_saved_sae_takes_raw_activations(case: str, tmp_path: Path) -> None:
    sae = build(case)
    save_sae(sae, tmp_path / "sae", {"layer": 10})
    loaded = saev.load(tmp_path / "sae")
    x = torch.randn(4, D_IN)
    assert type(loaded) is type(sae)
    assert loaded.options() == sae.options()
    assert torch.equal(loaded(x), sae(x))
    assert torch.equal(loaded.encode(x), sae.encode(x))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_loading_needs_neither_lightning_nor_a_network(tmp_path: Path) -> None:
    save_sae(TopK(6, d_sae=12, k=3), tmp_path, {})
    code = (
        f"import sys, saev; saev.load({str(tmp_path)!r}); "
        "assert not [name for name in ('lightning', 'timm', 'open_clip') if name in sys.modules]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def break_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 99}, "schema 2"),
        ({"architecture": "os.system"}, "os.system"),
        ({"k": 99}, "k=99"),
        ({"k": 3.5}, "whole numbers"),
        ({"architecture": ["TopK"]}, "TopK"),
        ({"d_sae": 13}, "has the shape"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_config_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    save_sae(TopK(6, d_sae=12, k=3), tmp_path, {})
    break_config(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        saev.load(tmp_path)


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    save_sae(TopK(6, d_sae=12, k=3), tmp_path, {})
    weights = tmp_path / "sae.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"sae\.safetensors"):
        saev.load(tmp_path)
    weights.unlink()
    with pytest.raises(InputError, match=r"sae\.safetensors"):
        saev.load(tmp_path)
    with pytest.raises(InputError, match=r"saes/NAME"):
        saev.load(tmp_path / "nothing")
    with pytest.raises(InputError, match="has `saev fit"):
        load_run(tmp_path)
