"""The configuration of a run, in its directory."""

from collections.abc import Callable
from pathlib import Path

import lightning
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.artifacts import RunDirectory
from saev.files import write_whole


class RunConfig(lightning.Callback):
    """Writes ``config.yaml`` into the run directory.

    After the checkpoint was accepted: a run that refuses to go on keeps the file that it was started with.

    Args:
        text: Gives the configuration as YAML.
    """

    def __init__(self, text: Callable[[], str]) -> None:
        self._text = text

    @override
    @rank_zero_only
    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the file."""
        write_whole(RunDirectory(Path(trainer.default_root_dir)).config, self._text().encode())
