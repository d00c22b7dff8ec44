"""Sweeps larger than memory: their SAEs are trained in parts, one after the other."""

import json
import sys
from pathlib import Path

import lightning
import torch

from saev.callbacks.run_checkpoint import LAST
from saev.callbacks.run_config import CONFIG
from saev.cli.earlier_config import read_config, usable
from saev.datamodules import ShardDataModule
from saev.errors import InputError, tell
from saev.files import read_regular, write_whole
from saev.free_memory import known_free_memory
from saev.modules import SAELightningModule
from saev.modules.sae import INIT_TOKENS
from saev.training.memory_need import check_fits, training_need
from saev.training.spec import fitting

PART, DONE = "part", "done"
_MAX_DONE_BYTES = 2**24


def settle_parts(model: SAELightningModule, trainer: lightning.Trainer, chosen: int | None) -> None:
    """Decide how many SAEs are trained at the same time, and say so where these are not all.

    Args:
        model: The SAEs of the run.
        trainer: Tells the device and the processes.
        chosen: What the user or an earlier start of the run decided, 1 or more.
    """
    n = len(model.recipes)
    if chosen is None and trainer.world_size > 1:
        chosen = n  # Each process would find another number.
    device = trainer.strategy.root_device
    if chosen is None and device.type == "cuda":
        chosen = fitting(model.recipes, torch.cuda.mem_get_info(device)[0])
    at_once = min(chosen or model.at_once, n)
    if at_once != model.at_once:
        model.at_once = at_once
        model.begin(0)
    if model.n_parts > 1:
        tell(
            f"the {n} SAEs of the sweep are trained {at_once} at a time, so that the data are gone through "
            f"{model.n_parts} times (--model.at_once)"
        )


def check_memory(model: SAELightningModule, data: ShardDataModule, trainer: lightning.Trainer, *, is_new: bool) -> None:
    """See whether training fits the memory of the device, each part of a sweep on its own.

    Args:
        model: The SAEs of the run.
        data: Its batches.
        trainer: Tells the device and the processes.
        is_new: Whether training starts from a sample of the data.

    Raises:
        InputError: If it certainly does not.
    """
    device, n = trainer.strategy.root_device, trainer.world_size
    n_tokens = sum(tokens.n_tokens for tokens in data.train_tokens)
    for number in range(model.n_parts):
        recipes = model.part(number)
        need = training_need(
            recipes,
            n_parts=n if model.shard_latents else 1,
            batch_size=data.batch_size // (1 if model.shard_latents else n),
            n_sample=min(n_tokens, INIT_TOKENS) if is_new else 0,
        )
        if device.type == "cuda":
            check_fits(recipes, need.total, str(need), torch.cuda.mem_get_info(device)[0], str(device))
        elif (found := known_free_memory()) is not None:
            # The SAEs of the first part are there already, and let go of before the next.
            built = sum(tensor.nbytes for tensor in model.parameters())
            check_fits(recipes, need.total, str(need), found[0] + built, found[1])


def earlier_choice(run_dir: Path) -> int:
    """How many SAEs were trained at the same time when the run was started; a huge number where all were.

    Raises:
        InputError: If the run's configuration cannot be read.
    """
    if (run_dir / LAST).is_file():
        return sys.maxsize
    config = read_config(run_dir / CONFIG)
    with usable(run_dir / CONFIG):
        found = config["model"]["at_once"]
    if type(found) is not int or found < 1:
        raise InputError(f"{run_dir / CONFIG}: at_once is {found!r}, not a number of SAEs")
    return found


def has_checkpoint(run_dir: Path) -> bool:
    """Whether there is something that a run can go on from."""
    return (run_dir / LAST).is_file() or any(run_dir.glob(f"{LAST.parent}/{PART}*/{LAST.name}"))


def checkpoint_of(part: int, n_parts: int) -> Path:
    """The checkpoint of a part, relative to the run directory."""
    return LAST if n_parts == 1 else LAST.parent / f"{PART}{part}" / LAST.name


def check_parts(run_dir: Path, n_parts: int) -> None:
    """See whether the checkpoints of a run are those of so many parts: otherwise a part would begin anew unnoticed.

    Raises:
        InputError: If not.
    """
    n_found = len(list(run_dir.glob(f"{LAST.parent}/{PART}*")))
    if n_found > (n_parts if n_parts > 1 else 0):
        raise InputError(
            f"{run_dir} holds {n_found} parts of a sweep, and this command has {n_parts}: give the --model.sweep that "
            "the run was started with"
        )


def is_done(checkpoint: Path, model: SAELightningModule, data: ShardDataModule) -> bool:
    """Whether a part of several, the SAEs now in the model, was trained to its end and its SAEs are exported.

    If so, the parts that follow get its batches.

    Raises:
        InputError: If it was trained with other settings or other data.
    """
    path = checkpoint.with_name(DONE)
    if not path.exists():
        return False
    try:
        found = json.loads(read_regular(path, _MAX_DONE_BYTES))
        settings, batches = found["saes"], found["data"]
        model.check_settings(settings)
        data.load_state_dict(batches)
    except InputError as error:
        raise InputError(f"{path.parent.name} of the sweep: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} does not tell how a part of the sweep was trained: damaged, or of another version of saev: start "
            "a new run"
        ) from error
    return True


def mark_done(checkpoint: Path, model: SAELightningModule, data: ShardDataModule) -> None:
    """Note that a part of several was trained to its end, and with which settings and data."""
    if checkpoint.parent.name != LAST.parent.name:
        found = {"saes": model.settings(), "data": data.state_dict()}
        write_whole(checkpoint.with_name(DONE), (json.dumps(found, indent=1) + "\n").encode())
