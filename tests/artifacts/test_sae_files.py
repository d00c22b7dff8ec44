import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.nn.small_saes import D_IN, SMALL, build
from torch import Tensor

import saev
from saev.artifacts import RunDirectory, save_sae
from saev.errors import InputError
from saev.nn import JumpReLU, MatchingPursuit, TopK


@pytest.mark.parametrize("case", sorted(SMALL))
def test_a_saved_sae_takes_raw_activations(case: str, tmp_path: Path) -> None:
    sae = build(case)
    save_sae(sae, tmp_path / "sae")
    loaded = saev.load(tmp_path / "sae")
    x = torch.randn(4, D_IN)
    assert type(loaded) is type(sae)
    assert loaded.options() == sae.options()
    assert torch.equal(loaded(x), sae(x))
    assert torch.equal(loaded.encode(x), sae.encode(x))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_metrics_are_kept_with_the_sae(tmp_path: Path) -> None:
    sae = TopK(6, d_sae=12, k=3)
    sae.metrics = {"val": {"fvu": 0.25, "diverged": float("nan"), "frequency_histogram": [1, 2]}}
    save_sae(sae, tmp_path)
    assert saev.load(tmp_path).metrics == {"val": {"fvu": 0.25, "diverged": None, "frequency_histogram": [1, 2]}}
    save_sae(TopK(6, d_sae=12, k=3), tmp_path, overwrite=True)
    assert saev.load(tmp_path).metrics == {}
    (tmp_path / "metrics.json").mkdir()
    assert saev.load(tmp_path).metrics == {}


def zero_a_direction(sae: MatchingPursuit) -> None:
    sae.W_dec.data[2] = 0


def select_fewer(sae: MatchingPursuit) -> None:
    sae.k = 2


@pytest.mark.parametrize("change", [zero_a_direction, select_fewer])
def test_metrics_of_other_weights_or_options_are_left_out(
    change: Callable[[MatchingPursuit], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sae = MatchingPursuit(6, d_sae=12, k=3)
    sae.metrics = {"val": {"fvu": 0.25}}
    save_sae(sae, tmp_path / "a")
    loaded = saev.load(tmp_path / "a")
    assert isinstance(loaded, MatchingPursuit)
    save_sae(loaded.to(torch.float32), tmp_path / "unchanged")
    assert saev.load(tmp_path / "unchanged").metrics == sae.metrics
    assert capsys.readouterr().err == ""
    change(loaded)
    save_sae(loaded, tmp_path / "a", overwrite=True)
    assert capsys.readouterr().err == (
        f"{tmp_path}/a: without metrics.json: the SAE was changed after its metrics were measured\n"
    )
    assert not (tmp_path / "a" / "metrics.json").exists()
    assert saev.load(tmp_path / "a").metrics == {}
    loaded.metrics = {"val": {"fvu": 0.5}}  # measured anew
    save_sae(loaded, tmp_path / "a", overwrite=True)
    assert saev.load(tmp_path / "a").metrics == loaded.metrics


@pytest.mark.parametrize("name", ["config.json", "sae.safetensors", "metrics.json"])
def test_nothing_is_overwritten_unless_asked(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"{name} is there already: name another directory, or give overwrite=True"):
        save_sae(TopK(6, d_sae=12, k=3), tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]
    save_sae(TopK(6, d_sae=12, k=3), tmp_path, overwrite=True)
    assert saev.load(tmp_path).metrics == {}


def test_loading_needs_neither_lightning_nor_a_network(tmp_path: Path) -> None:
    save_sae(TopK(6, d_sae=12, k=3), tmp_path)
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
        ({"k": 3.5}, "k is 3.5, not a whole number"),
        ({"k": True}, "k is True, not a whole number"),
        ({"d_in": None}, "d_in is None, not a whole number"),
        ({"per": "image"}, "per"),
        ({"d_sae": 10**30}, "makes no SAE"),
        ({"architecture": ["TopK"]}, "TopK"),
        ({"d_sae": 13}, r"W_dec has the shape \[12, 6\], config.json asks for \[13, 6\]"),
        ({"d_sae": 10**12}, r"config.json asks for \[1000000000000, 6\]"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_config_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    save_sae(TopK(6, d_sae=12, k=3), tmp_path)
    break_config(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        saev.load(tmp_path)


@pytest.mark.parametrize("value", ["2.0", -1.0, None, [1.0], True])
def test_an_option_of_another_kind_is_refused(value: object, tmp_path: Path) -> None:
    save_sae(JumpReLU(6, d_sae=12), tmp_path)
    break_config(tmp_path, bandwidth=value)
    with pytest.raises(InputError, match=r"config.json.*bandwidth"):
        saev.load(tmp_path)


def spoil(directory: Path, **tensors: Tensor | None) -> None:
    path = directory / "sae.safetensors"
    found = {**load_file(path), **tensors}
    save_file({name: tensor for name, tensor in found.items() if tensor is not None}, path)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"W_enc": torch.full((6, 12), torch.nan)}, "W_enc holds values that are not finite"),
        ({"b_dec": torch.tensor([0.0, 0, 0, 0, 0, -torch.inf])}, "b_dec holds values that are not finite"),
        ({"W_dec": torch.ones(12, 6, dtype=torch.int64)}, "W_dec holds int64, it must hold numbers with a fraction"),
        ({"W_dec": torch.ones(6, 12)}, r"W_dec has the shape \[6, 12\], config.json asks for \[12, 6\]"),
        ({"b_enc": None}, "the tensor b_enc is missing, it has W_dec, W_enc"),
        ({"b_more": torch.zeros(1)}, "there is no place for the tensor b_more"),
        ({"scale_d": torch.zeros(6)}, "scale_d holds 0, a scale must be above 0"),
    ],
)
def test_tensors_that_make_no_sae_are_refused(tensors: dict[str, Tensor | None], message: str, tmp_path: Path) -> None:
    save_sae(TopK(6, d_sae=12, k=3), tmp_path)
    spoil(tmp_path, **tensors)
    with pytest.raises(InputError, match=rf"sae.safetensors: {message}"):
        saev.load(tmp_path)


def test_weights_of_half_the_precision_are_taken(tmp_path: Path) -> None:
    sae = TopK(6, d_sae=12, k=3)
    save_sae(sae, tmp_path)
    spoil(tmp_path, W_dec=sae.W_dec.detach().bfloat16())
    assert torch.equal(saev.load(tmp_path).W_dec, sae.W_dec.bfloat16().float())


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    save_sae(TopK(6, d_sae=12, k=3), tmp_path)
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
        RunDirectory(tmp_path).load_saes()
