"""The trainer of `saev predict`."""

import lightning
from lightning.pytorch.callbacks import Callback

from saev.errors import InputError


def recording_trainer(
    accelerator: str = "auto",
    devices: list[int] | int | str = 1,
    deterministic: bool | None = None,
    profiler: str | None = None,
    callbacks: list[Callback] | None = None,
) -> lightning.Trainer:
    """Where the forward pass runs.

    Of a Trainer's options only those that leave the recorded values and their number alone are offered:
    the name of the shards does not tell of autocast or of a share of the pictures.

    Args:
        accelerator: cpu, gpu, or auto for a GPU where there is one.
        devices: 1 for the first one, or [1] for the second one; a recording runs on one device.
        deterministic: Use deterministic algorithms only.
        profiler: simple or advanced, to see where the time goes.
        callbacks: More Lightning callbacks.

    Raises:
        InputError: If that is more than one device; before Lightning starts a process for each.
    """
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=devices,
        deterministic=deterministic,
        profiler=profiler,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    if trainer.world_size > 1:
        raise InputError(f"a recording runs on one device, not {trainer.world_size}: give --trainer.devices 1")
    return trainer
