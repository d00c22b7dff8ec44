"""`saev predict`: record activations."""

import contextlib
import sys

from lightning.pytorch.cli import LightningArgumentParser
from typing_extensions import override

from saev.callbacks import ImageProgress, VitActivationWriter
from saev.cli.lightning_cli import CommandCLI, interruptible, wants_help
from saev.cli.recording_trainer import recording_trainer
from saev.datamodules import ImageDataModule
from saev.modules import VitLightningModule
from saev.shards.byte_text import byte_text

DESCRIPTION = """Record the activations of a frozen ViT: one shard directory a layer.
The last lines of standard output are the finished directories."""


class RecordCLI(CommandCLI):
    """A VitLightningModule, an ImageDataModule and a VitActivationWriter under ``--writer``."""

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the writer, and give the data what the model knows."""
        parser.add_lightning_class_args(VitActivationWriter, "writer")
        parser.link_arguments("model.preprocessing", "data.preprocessing", apply_on="instantiate")
        parser.link_arguments("model.grid", "data.grid", apply_on="instantiate")


def predict(argv: list[str]) -> int:
    """Run `saev predict`."""
    if wants_help(argv):
        _cli(argv)
    with contextlib.redirect_stdout(sys.stderr), interruptible():
        directories = record(argv)
    for directory in directories:
        print(directory)
    return 0


def _cli(argv: list[str]) -> RecordCLI:
    return RecordCLI(
        VitLightningModule,
        ImageDataModule,
        prog="saev predict",
        description=DESCRIPTION,
        argv=argv,
        trainer_class=recording_trainer,
        trainer_defaults={"callbacks": [ImageProgress()]},
    )


def record(argv: list[str]) -> list[str]:
    """Record what is missing; the finished directories, in the order of the layers."""
    cli = _cli(argv)
    writer = cli.config_init.writer
    plan = writer.plan(cli.model, cli.datamodule)
    for directory in plan.finished.values():
        print(f"recorded already: {directory}")
    if plan.pending:
        n_images = len(cli.datamodule.images)
        print(
            f"recording layers {sorted(plan.pending)} of {n_images:,} images: "
            f"{byte_text(plan.n_bytes)} will be written, {byte_text(writer.free())} are free"
        )
        cli.model.layers = sorted(plan.pending)
        cli.trainer.predict(cli.model, cli.datamodule, return_predictions=False)
    finished = {**plan.finished, **writer.directories}
    return [str(finished[layer]) for layer in sorted(finished)]
