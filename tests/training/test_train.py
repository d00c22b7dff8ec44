"""`saev.train`: tensors, arrays, shards and iterables."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.cli.fitting import fit_options, numpy_fvu, only, sparse_acts
from tests.conftest import MakeShards
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

import saev
from saev.artifacts import provenance_of, read_provenance
from saev.cli.main import main
from saev.errors import InputError
from saev.training.data.sources import TensorSource
from saev.training.torch_modes import TorchModes

SMALL: dict[str, Any] = {"d_sae": 48, "k": 4, "n_tokens": 6400, "batch_size": 64, "device": "cpu", "progress": False}
SHORT = SMALL | {"n_tokens": 1280}
"""Each row is trained on, for what must be the same to the last bit."""


@pytest.fixture(scope="module")
def x() -> Tensor:
    return sparse_acts(300, 4).flatten(0, 1)


@pytest.fixture(scope="module")
def shards(make_shards: MakeShards) -> Path:
    return make_shards(51, d_model=16, grid=(3, 4), acts=sparse_acts(51, 13))[0]


def same(one: saev.SparseAutoencoder, other: saev.SparseAutoencoder) -> bool:
    state = other.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize(
    ("architecture", "more"),
    [("TopK", {"k": 4}), ("BatchTopK", {"k": 4, "dead_after": 640, "clip": 0.5, "seed": 3}), ("ReLU", {})],
)
def test_shards_train_what_the_command_trains(
    shards: Path, tmp_path: Path, architecture: str, more: dict[str, Any]
) -> None:
    names = {"k": "model.sae.k", "clip": "trainer.gradient_clip_val"}
    given = {names.get(name, f"model.{name}"): value for name, value in more.items()}
    given |= {"model.sae.d_sae": 48, "data.n_tokens": 6400, "data.val_share": 0.2}
    given |= {"data.tokens": "all", "data.seed": more.get("seed", 0)}
    more_argv = [f"--{name}={value}" for name, value in given.items()]
    assert main(fit_options(shards, tmp_path / "run", *more_argv, sae=[f"--model.sae={architecture}"])) == 0
    options = {key: value for key, value in SMALL.items() if key != "k"}
    sae = saev.train(shards, architecture, **options, **more, val_share=0.2, tokens="all")
    directory = only(tmp_path, "run/saes/*")
    expected = load_file(directory / "sae.safetensors")
    assert expected.keys() == sae.state_dict().keys()
    for name, tensor in sae.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert sae.metrics == saev.load(directory).metrics == json.loads((directory / "metrics.json").read_text())
    assert provenance_of(sae) == read_provenance(directory)


def test_a_tensor(x: Tensor) -> None:
    sae = saev.train(x, "TopK", **SMALL)
    assert not sae.training and not any(parameter.requires_grad for parameter in sae.parameters())
    assert sae.metrics["train"]["diverged"] == 0
    val = sae.metrics["val"]
    assert isinstance(val["fvu"], float) and val["fvu"] < 0.5 * numpy_fvu(saev.TopK(16, 48, k=4), x, 4)
    assert {"fvu", "l0", "dead", "coherence", "frequency_histogram"} <= val.keys()
    short = saev.train(x, "TopK", **SHORT)
    for again in (x.numpy(), x.double(), x.clone().requires_grad_()):
        assert same(saev.train(again, saev.TopK, **SHORT), short)
    assert not same(saev.train(x, "TopK", seed=1, **SHORT), short)
    options = without("d_sae", "k") | {"n_tokens": 1280}
    assert torch.equal(saev.train(x, partial(saev.TopK, d_sae=48, k=4), **options).W_dec, short.W_dec)


@pytest.mark.parametrize("architecture", ["BatchTopK", "JumpReLU", "ReLU", "TopK"])
def test_a_short_run_from_random_weights_has_not_diverged(x: Tensor, architecture: str) -> None:
    sae = saev.train(x, architecture, **without("k") | {"n_tokens": 128}, init="random")
    assert sae.metrics["train"]["diverged"] == 0


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in SMALL.items() if name not in names}


def test_held_out_rows_are_not_trained_on(x: Tensor) -> None:
    """Rows that are ruined are noticed where they are trained on, and evaluated where they are held out."""
    with pytest.raises(InputError, match="row 7 of the activations has values that are not finite"):
        ruined = x.clone()
        ruined[7, 3] = torch.nan
        saev.train(ruined, **SMALL)
    marked = torch.cat([x, torch.arange(len(x)).view(-1, 1).float() * 1e-6], dim=1)
    source = TensorSource(marked, n_tokens=9 * 1140, batch_size=1140, val_share=0.05, n_val_tokens=10**6, seed=0)
    trained = [set(batch[:, -1].tolist()) for batch in source]
    held_out = {value for batch in source.held_out() for value in batch[:, -1].tolist()}
    assert all(len(values) == 1140 for values in trained) and len(held_out) == 60
    assert trained == [trained[0]] * 9 and not trained[0] & held_out
    # Stretches of a hundredth of the rows, so that an image is rarely on both sides.
    rows = sorted(round(value * 1e6) for value in held_out)
    assert sum(after - before != 1 for before, after in pairwise(rows)) <= 4


def test_tokens_of_ones_own_to_evaluate_on(x: Tensor) -> None:
    sae = saev.train(x[:900], **SMALL, held_out=x[900:])
    assert isinstance(sae, saev.TopK)
    assert sae.metrics["val"]["fvu"] == pytest.approx(numpy_fvu(sae, x[900:], 4), rel=1e-4)
    assert "val" not in saev.train(x, **SMALL, val_share=0).metrics


def test_batches_are_cut_and_joined_and_repeated_in_their_order(x: Tensor) -> None:
    sae = saev.train(x.split(64), **SMALL | {"n_tokens": 1152})
    assert same(saev.train([x[:1], x[1:500].numpy(), x[500:]], **SMALL | {"n_tokens": 1152}), sae)
    assert same(saev.train(iter(x.split(100)), **SMALL | {"n_tokens": 1152}), sae)
    assert sae.metrics.keys() == {"train"}
    twice = saev.train(x.split(400), **SMALL | {"n_tokens": 2400})
    assert same(saev.train(DataLoader(x, batch_size=400), **SMALL | {"n_tokens": 2400}), twice)  # type: ignore[arg-type]


def test_bfloat16_activations_and_products(x: Tensor) -> None:
    sae = saev.train(x.bfloat16(), **SMALL, bf16=True)
    assert sae.W_dec.dtype == torch.float32
    fvu = sae.metrics["val"]["fvu"]
    assert isinstance(fvu, float) and fvu < 0.6


def test_arrays_of_any_order_of_bytes_and_rows(x: Tensor, tmp_path: Path) -> None:
    alone = saev.train(x, **SHORT)
    array = x.numpy()
    np.save(tmp_path / "x.npy", array)
    given = {
        "negative strides": array[::-1].copy()[::-1],
        "big-endian": array.astype(">f4"),
        "read-only": np.load(tmp_path / "x.npy", mmap_mode="r"),
    }
    for name, one in given.items():
        assert same(saev.train(one, **SHORT), alone), name
    held_out = saev.train(x[:900], **SHORT, held_out=array[900:][::-1]).metrics["val"]["fvu"]
    assert held_out == pytest.approx(saev.train(x[:900], **SHORT, held_out=x[900:]).metrics["val"]["fvu"])


def test_numbers_of_numpy(x: Tensor, tmp_path: Path) -> None:
    numbers = {name: np.int64(SHORT[name]) for name in ("d_sae", "k", "n_tokens", "batch_size")}
    sae = saev.train(x, **SHORT | numbers, clip=np.float32(0.5), lr=np.float32(0.5**7), val_share=np.float32(0.0625))
    assert same(sae, saev.train(x, **SHORT, clip=0.5, lr=0.5**7, val_share=0.0625))
    saev.save(sae, tmp_path / "sae")
    assert provenance_of(saev.load(tmp_path / "sae")).training["n_tokens"] == 1280


def test_batches_of_a_data_set_of_tensors(x: Tensor) -> None:
    one, some = (DataLoader(data, batch_size=400) for data in (TensorDataset(x), x))  # type: ignore[arg-type]
    assert same(saev.train(one, **SHORT), saev.train(some, **SHORT))


def in_mode(mode: AbstractContextManager[object], x: Tensor) -> Iterator[Tensor]:
    """Batches of a generator that stands in a context of its own while others use them."""
    with mode:
        before = TorchModes.now()
        while True:
            yield x + 0
            assert TorchModes.now() == before


@pytest.mark.parametrize(
    "mode",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", torch.bfloat16)],
    ids=["no_grad", "inference_mode", "autocast"],
)
@pytest.mark.parametrize("normalize", ["scalar", "none"])
def test_modes_of_torch_that_the_caller_has_set(
    x: Tensor, mode: Callable[[], AbstractContextManager[object]], normalize: str
) -> None:
    options = SMALL | {"n_tokens": 640, "normalize": normalize}
    alone, of_batches = saev.train(x, **options), saev.train(itertools.repeat(x), **options)
    before = TorchModes.now()
    with mode():
        assert same(saev.train(x + 0, **options), alone)
        batches = (x + 0 for _ in itertools.count())
        again = saev.train(batches, **options)
    assert same(again, of_batches)
    assert not any(parameter.is_inference() for parameter in again.parameters())
    assert same(saev.train(in_mode(mode(), x), **options), of_batches)
    assert TorchModes.now() == before


def test_evaluated_rows_are_spread_over_all_stretches(x: Tensor) -> None:
    marked = torch.cat([x, torch.arange(len(x)).view(-1, 1).float()], dim=1)
    few, all_of_them = (
        [row for batch in one.held_out() for row in batch[:, -1].long().tolist()]
        for one in (
            TensorSource(marked, n_tokens=100, batch_size=100, val_share=0.2, n_val_tokens=n, seed=0)
            for n in (40, 10**6)
        )
    )
    assert len(few) == 40 and set(few) < set(all_of_them) and few == sorted(few)
    assert {row // 12 for row in few} == {row // 12 for row in all_of_them}


def test_what_is_known_of_the_training_of_a_tensor(x: Tensor) -> None:
    for given in (x, [x]):
        known = provenance_of(saev.train(given, **SHORT)).training
        assert (known["n_tokens"], known["batch_size"], known["seed"]) == (1280, 64, 0)


def endless() -> Iterator[Tensor]:
    while True:
        yield torch.randn(64, 16)


def test_the_progress_bar_shows_the_loss(x: Tensor, capsys: pytest.CaptureFixture[str]) -> None:
    saev.train(endless(), **SMALL | {"progress": True, "n_tokens": 640})
    err = capsys.readouterr().err
    assert "topk-d_sae48-k4: 100%" in err and "10/10" in err and "loss=" in err
    assert err.count("\n") == 1 and "\r" not in err, "no terminal: one line at the end, and one a minute"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"x": torch.zeros(3, 4, 5)}, r"activations of shape \(3, 4, 5\): give \(b, 5\), tokens by dimensions"),
        ({"x": torch.zeros(640, 16, dtype=torch.int64)}, "activations are int64: give floating-point numbers"),
        ({"x": 3}, "x is int: give a tensor"),
        ({"x": "nowhere"}, "nowhere: no such directory"),
        ({"x": ["nowhere", Path("there")]}, "nowhere: no such directory"),
        ({"x": []}, "the iterable gives no batches"),
        ({"x": [[1.0]]}, r"batches are list: give tensors \(b, d_in\)"),
        ({"x": [torch.zeros(70, 16), torch.zeros(70, 8)]}, r"shape \(70, 8\): give \(b, 16\)"),
        ({"x": torch.zeros(9, 16)}, "9 activations, 8 of which are trained on, are fewer than a batch, batch_size=64"),
        ({"x": iter([torch.randn(100, 16)])}, "the iterable ended after 100 of n_tokens=6400 tokens"),
        ({"x": [torch.full((640, 16), torch.inf)]}, "the activations that training starts from are not finite"),
        ({"sae": "TopQ"}, "saev.train names the architecture 'TopQ', known are Archetypal,"),
        ({"sae": 3}, "saev.train names the architecture 3, known are Archetypal,"),
        ({"sae": lambda d_in: torch.nn.Linear(d_in, 3), "d_sae": None, "k": None}, "there is no option 'd_sae'"),
        ({"q": 1}, "there is no option 'q': the SAE takes d_sae, k; training takes lr, warmup,"),
        ({"tokens": "cls"}, "there is no option 'tokens'"),
        ({"k": 49}, "k=49 must lie between 1 and d_sae=48"),
        ({"k": "4"}, "k must be a whole number, not '4'"),
        ({"lr": "fast"}, "lr must be a number, not 'fast'"),
        ({"lr": 1e30}, "the run diverges, lower its lr"),
        ({"schedule": "steps"}, "schedule='steps' must be one of linear, cosine"),
        ({"n_tokens": 6.4e3}, "n_tokens must be a whole number, not 6400.0"),
        ({"n_tokens": 63}, "n_tokens=63 must be at least one batch, batch_size=64"),
        ({"val_share": 1.0}, "val_share=1.0 must be at least 0 and below 1"),
        ({"seed": -1}, "seed=-1 must be 0 or more"),
        ({"clip": "a"}, "clip must be a number"),
        ({"device": "warp"}, "device warp cannot be used here, cpu can"),
        ({"device": "meta"}, "device meta cannot be used here, cpu can"),
        ({"device": 3.5}, r"device 3\.5 cannot be used here, cpu can"),
        ({"x": torch.zeros(640, 16, device="meta"), "device": None}, "device meta cannot be used here"),
        ({"x": [torch.zeros(640, 16, device="meta")]}, "activations are on the device meta, which holds no values"),
        (
            {"x": torch.zeros(640, 16).to_sparse()},
            r"are of the layout torch.sparse_coo: give a dense tensor \(b, d_in\)",
        ),
        (
            {"x": torch.zeros(640, 16).to(torch.float8_e4m3fn)},
            "are float8_e4m3fn: give floating-point numbers of 16",
        ),
        ({"x": np.zeros((640, 16), dtype=object)}, "activations are object of numpy: "),
        ({"clip": -1.0}, r"clip=-1\.0 must be finite and above 0"),
        ({"clip": float("nan")}, "clip=nan must be finite and above 0"),
        ({"clip": 0}, "clip=0 must be finite and above 0"),
        ({"seed": 2**70}, "seed=1180591620717411303424 must have at most 63 bits"),
        ({"held_out": np.full((5, 16), np.nan)}, "row 0 of held_out has values that are not finite"),
        ({"held_out": np.zeros((0, 16))}, "held_out has no tokens"),
        (
            {"x": torch.full((640, 16), 1e200, dtype=torch.float64)},
            "row 0 of the activations has values that are not f",
        ),
        ({"x": [torch.full((640, 16), 1e200, dtype=torch.float64)]}, "that training starts from are not finite"),
        ({"held_out": [1.0, 2.0]}, r"batches are list: give tensors \(b, 16\)"),
        ({"x": torch.zeros(640, 16, device="meta"), "device": "cpu"}, "the activations are on meta, device is cpu"),
        ({"held_out": torch.zeros(5, 3)}, r"shape \(5, 3\): give \(b, 16\)"),
    ],
)
def test_what_makes_no_sense_is_one_line(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        saev.train(**{"x": torch.randn(640, 16), **SMALL, **wrong})
    assert "\n" not in str(error.value)


def test_an_option_of_shards_that_there_is_not(shards: Path) -> None:
    with pytest.raises(
        InputError, match=r"there is no option 'q': .*; shards take weights, paired, val_shards, tokens"
    ):
        saev.train(shards, **SMALL, q=1)
    with pytest.raises(InputError, match="threads must be a whole number"):
        saev.train(shards, **SMALL, threads="two")
