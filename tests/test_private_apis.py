"""What saev relies on in other packages without their promise, by name: an upgrade that breaks it fails here."""

import argparse
import ast
import atexit
import importlib
import inspect
import io
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import lightning
import open_clip.model
import pytest
import safetensors.torch
import torch
import tqdm
from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.strategies import DDPStrategy, launchers
from PIL import Image
from torch.nn.parallel import DistributedDataParallel
from torch.utils.tensorboard import SummaryWriter

import saev
from saev.cli.parsing import errors as parse_errors
from saev.cli.parsing.lightning_cli import _NOISE
from saev.nn import SparseAutoencoder

ROOT: Final = Path(saev.__file__).parent


def parameters(function: Callable[..., object]) -> list[str]:
    return list(inspect.signature(function).parameters)


def launcher() -> bool:
    of_class = launchers._SubprocessScriptLauncher
    started = of_class(None, 1, 1)  # type: ignore[arg-type]
    return parameters(of_class) == ["cluster_environment", "num_processes", "num_nodes"] and started.procs == []


def typehint() -> bool:
    action = ArgumentParser().add_argument("--values", type=list[int])
    return bool(action._typehint == list[int])


def gradient_of_weights() -> bool:
    """One product of a token with the weights of a latent for each entry."""
    x_bd, W_sd = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])
    latents_n, rows_n = torch.tensor([1, 0]), torch.tensor([0, 0])
    found = torch.ops.aten._embedding_bag_per_sample_weights_backward(x_bd, W_sd, latents_n, rows_n[:1], rows_n, 0)
    return found.tolist() == [17.0, 11.0]


# Private names, and what must hold of each.
RELIED: Final[dict[str, Callable[[], bool]]] = {
    # argparse
    "_actions": lambda: argparse.ArgumentParser()._actions[0].dest == "help",
    "_action_groups": lambda: argparse.ArgumentParser()._action_groups[1].title == "options",
    "_group_actions": lambda: argparse.ArgumentParser()._action_groups[1]._group_actions[0].dest == "help",
    # atexit
    "_run_exitfuncs": lambda: callable(atexit._run_exitfuncs),
    # jsonargparse
    "_typehint": typehint,
    # Lightning
    "_SubprocessScriptLauncher": launcher,
    "_broadcast_sigterm_tensor": lambda: parameters(_TrainingEpochLoop._broadcast_sigterm_tensor) == ["self"],
    "_call_children_scripts": lambda: (
        parameters(launchers._SubprocessScriptLauncher._call_children_scripts) == ["self"]
    ),
    "_configure_launcher": lambda: parameters(DDPStrategy._configure_launcher) == ["self"],
    "_last_global_step_saved": lambda: ModelCheckpoint()._last_global_step_saved == 0,
    "_launcher": lambda: DDPStrategy()._launcher is None,
    "_save_checkpoint": lambda: parameters(ModelCheckpoint._save_checkpoint) == ["self", "trainer", "filepath"],
    "_train_progress_bar": lambda: TQDMProgressBar()._train_progress_bar is None,
    "_trainer": lambda: lightning.LightningModule()._trainer is None,
    # open_clip
    "_build_vision_tower": lambda: (
        parameters(open_clip.model._build_vision_tower) == ["embed_dim", "vision_cfg", "quick_gelu", "cast_dtype"]
    ),
    # torch
    "_embedding_bag_per_sample_weights_backward": gradient_of_weights,
    "_set_params_and_buffers_to_ignore_for_model": lambda: (
        parameters(DistributedDataParallel._set_params_and_buffers_to_ignore_for_model)
        == ["module", "params_and_buffers_to_ignore"]
    ),
    "_get_file_writer": lambda: parameters(SummaryWriter._get_file_writer) == ["self"],
    # tqdm
    "_instances": lambda: tqdm.tqdm(disable=False, file=io.StringIO()) in tqdm.tqdm._instances,
}
# Private in name only: the documentation has them.
DOCUMENTED: Final = {"_asdict", "_fields", "_make", "_replace", "_exit"}
# Set on self, so that the source does not show that the name is another package's.
SET_ON_SELF: Final = {"_launcher"}
# What Python and torch put into every class of a kind.
OF_METACLASSES: Final = {"_abc_impl", "_is_protocol", "_is_runtime_protocol", "_backward_cls"}


@pytest.mark.parametrize("name", RELIED)
def test_a_private_name_is_there_and_means_what_it_did(name: str) -> None:
    assert RELIED[name](), name


def is_private(name: str) -> bool:
    return name.startswith("_") and name.strip("_") != "" and not name.endswith("__")


def defined(tree: ast.Module) -> Iterator[str]:
    """Names that a file defines: functions, classes, variables, attributes of self."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def used(tree: ast.Module) -> Iterator[str]:
    """Private names that a file takes from somewhere: attributes, imports, and names given to getattr and its kin."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield name
            case ast.Call(
                func=ast.Name(id="getattr" | "setattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_]
            ):
                yield name
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] != "saev":
                yield from [*module.split("."), *(alias.name for alias in names)]
            case ast.Import(names=names):
                yield from [part for alias in names for part in alias.name.split(".")]


def overridden() -> set[str]:
    """Private methods of other packages' classes that classes of saev replace."""
    found = set()
    for module in pkgutil.walk_packages(saev.__path__, "saev."):
        if module.name == "saev.__main__" or ".kernels." in module.name:
            continue
        for kind in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(kind) and kind.__module__ == module.name:
                foreign = [base for base in kind.__mro__ if base.__module__.split(".")[0] != "saev"]
                found |= {name for name in vars(kind) if is_private(name) and any(name in vars(b) for b in foreign)}
    return found - OF_METACLASSES


def test_no_other_private_name_of_another_package_is_used() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("*.py")]
    ours = {name for tree in trees for name in defined(tree)}
    foreign = {name for tree in trees for name in used(tree) if is_private(name)} - ours - DOCUMENTED
    assert foreign | overridden() | SET_ON_SELF == set(RELIED)


class Group:
    def __init__(self, known: int = 1) -> None:
        self.known = known


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--number", type=int)
    parser.add_argument("--needed", required=True)
    parser.add_argument("--path", type=Path)
    parser.add_argument("--mode", type=Literal["a", "b"])
    parser.add_argument("--rows", type=list[int])
    parser.add_argument("--maybe", type=Callable[[int], SparseAutoencoder] | None)
    parser.add_argument("--sae", type=Callable[[int], SparseAutoencoder])
    parser.add_argument("--own", type=SparseAutoencoder)
    parser.add_subclass_arguments(SparseAutoencoder, "given", required=False, skip={"d_in"})
    parser.add_class_arguments(Group, "group")
    return parser


def said(argv: list[str]) -> str:
    """The message of jsonargparse, on one line."""
    with pytest.raises(ArgumentError) as caught:
        build_parser().parse_args(argv)
    return " ".join(str(caught.value).split())


# For each form of message that saev.cli.parsing.errors rewrites a command line that gets it.
WRONG: Final = (
    [], ["--number", "x"], ["--path", ""], ["--mode", "c"], ["--rows", "3"], ["--maybe", "4"], ["--given", "Nope"],
    ["--sae", "torch.no"], ["--sae", "no.No"], ["--sae", "os.no"],
)  # fmt: skip
NEEDED: Final = ["--needed", "1"]


def test_every_rewriting_meets_a_message_of_jsonargparse() -> None:
    set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=["saev", "torch", "no"])
    met = set()
    for argv in WRONG:
        text = said(argv)
        for pattern, replacement in parse_errors._REWRITES:
            text, n = re.subn(pattern, replacement, text)
            met |= {pattern} if n else set()
    assert met == {pattern for pattern, _ in parse_errors._REWRITES}


@pytest.mark.parametrize(
    ("argv", "pattern", "groups"),
    [
        (["--no", "1"], parse_errors._UNKNOWN_OPTION[0], ["--no"]),
        (["--group", "{missing: 1}"], parse_errors._UNKNOWN_OPTION[1], ["group", "missing"]),
        (["--own", "TopK", "--own.no", "3"], parse_errors._OF_A_CLASS, ["own", "saev.TopK"]),
        (
            ["--sae", "TopK", "--sae.no", "3"],
            parse_errors._OF_A_CLASS,
            ["sae", "Option 'no' is not accepted", "saev.TopK"],
        ),
        (["--own", "Nope"], parse_errors._UNKNOWN_CLASS, ["own", "Nope"]),
        (["--sae", "Nope"], parse_errors._UNKNOWN_CLASS, ["sae", "Nope"]),
        (["--own", "torch.nn.Linear"], parse_errors._UNKNOWN_CLASS, ["own", "torch.nn.Linear"]),
        (["--own.k", "3"], parse_errors._UNKNOWN_CLASS, ["own", "saev.SparseAutoencoder"]),
    ],
)
def test_a_message_of_jsonargparse_is_understood(argv: list[str], pattern: str, groups: list[str]) -> None:
    text = said([*NEEDED, *argv])
    found = re.match(pattern, text)
    assert found is not None, text
    assert set(groups) <= set(found.groups()), text


def test_the_help_of_an_option_lists_its_classes() -> None:
    assert {"TopK", "ReLU"} <= set(parse_errors.class_names("own", build_parser()))


def test_messages_of_libraries_still_have_the_words_that_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    picture = io.BytesIO()
    Image.new("L", (4, 4)).save(picture, "PNG")
    with pytest.raises(Image.DecompressionBombError, match=r"^Image size \(16 pixels\) exceeds limit of 2 pixels, "):
        Image.open(picture)
    with pytest.raises(safetensors.SafetensorError, match=r"\(os error 2\)"):
        safetensors.torch.save_file({"x": torch.zeros(1)}, tmp_path / "no" / "file")
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        torch.empty(1 << 60, dtype=torch.uint8)


def test_lightning_still_says_what_is_kept_from_users() -> None:
    roots = [Path(lightning.__file__).parent / part for part in ("pytorch", "fabric")]
    source = "".join(path.read_text(encoding="utf-8") for root in roots for path in root.rglob("*.py"))
    assert [noise for noise in _NOISE if noise not in source] == []
    importlib.import_module("lightning.pytorch.trainer.connectors.signal_connector")  # the name of its logger


def test_torch_still_names_the_data_worker_that_ended() -> None:
    assert "DataLoader worker" in inspect.getsource(torch.utils.data.dataloader)
