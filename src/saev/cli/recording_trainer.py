"""The trainer of `saev predict`."""

import os
import warnings

import lightning
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import Callback

from saev.callbacks import ImageProgress
from saev.cli.processes.count import check_machines
from saev.cli.processes.recording import RecordingStrategy
from saev.errors import InputError

# Lightning's names of one process a device: nothing is trained, so that they mean the same here.
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_false", "ddp_find_unused_parameters_true")


def recording_trainer(
    accelerator: str = "auto",
    devices: list[int] | int | str = 1,
    num_nodes: int = 1,
    strategy: str = "auto",
    deterministic: bool | None = None,
    profiler: str | None = None,
    callbacks: list[Callback] | None = None,
) -> lightning.Trainer:
    """Where the forward pass runs.

    Of a Trainer's options only those that leave the recorded values and their number alone are offered:
    the name of the shards does not tell of autocast or of a share of the pictures.

    Args:
        accelerator: cpu, gpu, or auto for a GPU where there is one.
        devices: How many of them, in one process each: 4, or -1 for all; [1] is the second one alone. No more
            processes are started than there are shards to record, nor more than two for each CPU.
        num_nodes: How many machines, each with so many devices, started by torchrun or Slurm.
        strategy: auto or ddp, which mean the same: one process for each device.
        deterministic: Use deterministic algorithms only.
        profiler: simple or advanced, to see where the time goes.
        callbacks: More Lightning callbacks.

    Raises:
        InputError: if it contradicts what torchrun or Slurm have started, or cannot be used for a recording.
    """
    if strategy not in STRATEGIES:
        raise InputError(
            f"--trainer.strategy {strategy}: a recording has one process for each device: give auto or ddp"
        )
    check_machines(num_nodes)
    warnings.filterwarnings("ignore", "Total length of .* across ranks is zero")  # only the final name is missing
    alone = num_nodes == 1 and (devices in (1, "1") or (isinstance(devices, list) and len(devices) == 1))
    if alone and int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1:  # torchrun
        raise InputError(f"{os.environ['LOCAL_WORLD_SIZE']} processes were started here: say so to --trainer.devices")
    return lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        num_nodes=num_nodes,
        strategy="auto" if alone else RecordingStrategy(),
        plugins=[_slurm()] if SLURMEnvironment.detect() else None,
        deterministic=deterministic,
        profiler=profiler,
        callbacks=[ImageProgress(), *(callbacks or [])],  # first, so that its line ends before others say something
        use_distributed_sampler=False,  # each process is told its shards
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _slurm() -> SLURMEnvironment:
    try:
        # Slurm ends a job with SIGTERM, which keeps whole shards; there is no checkpoint to requeue with.
        return SLURMEnvironment(auto_requeue=False)
    except RuntimeError as error:
        raise InputError(f"Slurm: {error}") from error
