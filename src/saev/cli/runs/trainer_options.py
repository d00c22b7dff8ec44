"""Which of Lightning's trainer options a run takes, and which values."""

import math
from collections.abc import Collection, Sequence
from typing import Final

from jsonargparse import Namespace
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from saev.cli.processes.count import check_devices, check_machines
from saev.errors import InputError
from saev.modules.resuming import PRECISIONS

TRAINER_PRECISIONS: Final = ("None", "32", "bf16", *PRECISIONS)
TRAINER_HELP: Final = {
    "trainer.accelerator": "cpu, gpu, or auto for a GPU where there is one.",
    "trainer.devices": "How many of them, in one process each: 4, or -1 for all; [1] is the second one alone.",
    "trainer.strategy": "ddp for several processes.",
    "trainer.num_nodes": "How many machines, each with so many devices, started by torchrun or Slurm.",
    "trainer.precision": "32-true, or bf16-mixed, which is faster on GPUs: large products in low precision.",
    "trainer.gradient_clip_val": "Clips the gradient of each SAE by its own norm.",
    "trainer.enable_progress_bar": "false leaves the progress bar out.",
    "trainer.callbacks": "Lightning callbacks beside saev's own.",
}
"""Those that most runs need, and what they mean here."""
FIXED: Final = {
    "accumulate_grad_batches": 1,
    "default_root_dir": None,
    "max_epochs": 1,
    "max_steps": -1,
    "max_time": None,
    "fast_dev_run": False,
    "limit_train_batches": None,
    "limit_val_batches": None,
    "limit_test_batches": None,
    "overfit_batches": 0.0,
}
# Below these the trainer fails in the middle of a run, or does something else than the option says.
LEAST: Final = {
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "min_epochs": 0,
    "min_steps": 0,
}


def check_trainer(settings: Namespace, n_steps: int) -> None:
    """See whether the trainer's options agree with our own, with the precision of the weights, and with the run.

    Raises:
        InputError: For one that does not.
    """
    for name, value in FIXED.items():
        if settings[name] != value:
            raise InputError(
                f"--trainer.{name} {settings[name]} contradicts saev's own options: leave it out, "
                "and use --data.n_tokens, --data.n_val_tokens and --run_dir"
            )
    if str(settings.precision) not in TRAINER_PRECISIONS:
        raise InputError(f"--trainer.precision {settings.precision}: weights stay float32, give bf16-mixed")
    check_devices(settings.accelerator, settings.devices)
    check_machines(settings.num_nodes)
    for name, least in LEAST.items():
        if settings[name] is not None and settings[name] < least:
            raise InputError(f"--trainer.{name} {settings[name]} must be {least} or more")
    _check_val_interval(settings.val_check_interval, n_steps)


def _check_val_interval(interval: object, n_steps: int) -> None:
    """Raise InputError for steps between validations that the run does not have."""
    is_share = isinstance(interval, float) and 0 < interval <= 1
    if not isinstance(interval, int | float) or is_share:
        return  # or it is a time, which the trainer checks
    if not 1 <= interval <= n_steps or (isinstance(interval, float) and not math.isfinite(interval)):
        raise InputError(
            f"--trainer.val_check_interval {interval}: give the steps from one validation to the next, 1 to the "
            f"{n_steps} of this run, or a share of these, such as 0.25"
        )


def check_monitors(callbacks: Sequence[Callback], known: Collection[str]) -> None:
    """See whether what callbacks monitor will be there: the trainer finds out at the end of the run.

    Args:
        callbacks: Those that the user gives. What others than Lightning's log is not known.
        known: Names of the values that are logged.

    Raises:
        InputError: For a callback that monitors something else.
    """
    if not all(type(one).__module__.startswith("lightning.") for one in callbacks):
        return
    for one in callbacks:
        if isinstance(one, EarlyStopping | ModelCheckpoint) and one.monitor is not None and one.monitor not in known:
            raise InputError(
                f"--trainer.callbacks: {type(one).__name__} monitors {one.monitor!r}, which nothing logs: "
                f"give one of {', '.join(sorted(known))}"
            )
