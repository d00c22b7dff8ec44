"""`saev predict`: record activations."""

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import lightning
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser
from typing_extensions import override

from saev.byte_text import byte_text
from saev.callbacks import VitActivationWriter
from saev.cli.parsing.command_line import wants_help
from saev.cli.parsing.errors import options_below
from saev.cli.parsing.lightning_cli import CommandCLI
from saev.cli.parsing.own_modules import class_at
from saev.cli.processes.count import granted
from saev.cli.recording_estimate import images_per_second
from saev.cli.recording_trainer import recording_trainer
from saev.datamodules import ImageDataModule
from saev.errors import InputError, printable, tell
from saev.modules import VitLightningModule
from saev.recording.plan import RecordingPlan
from saev.shards.writing.partial import PartialRecording
from saev.vit.backbone import BACKBONES
from saev.vit.images import BadImage

DESCRIPTION = """Record the activations of a frozen ViT: one shard directory a layer.
The last lines of standard output are the finished directories. After an interruption the same command goes on from
the shards that are whole."""


_PATHS: Final = ("root", "file")


class RecordCLI(CommandCLI):
    """A VitLightningModule, an ImageDataModule and a VitActivationWriter under ``--writer``."""

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the writer, and give the data what the model knows."""
        parser.add_lightning_class_args(VitActivationWriter, "writer")
        parser.link_arguments("model.preprocessing", "data.preprocessing", apply_on="instantiate")
        parser.link_arguments("model.grid", "data.grid", apply_on="instantiate")

    @override
    def before_instantiate_classes(self) -> None:
        """Import a backbone that the user gives as a class path; recordings name it as its class is called."""
        _check_there(self.config.data.images)  # the ViT, which comes first, may take minutes to arrive
        family = self.config.model.family
        if "." in family:
            cls = class_at(family, "--model.family")
            if cls not in BACKBONES.values():
                raise InputError(f"--model.family {family} is no backbone: derive it from saev.vit.backbone.Backbone")
            self.config.model.family = next(name for name, known in BACKBONES.items() if known is cls)

    @override
    def instantiate_trainer(self, **kwargs: Any) -> lightning.Trainer:
        """A trainer of no more processes than there are shards to record."""
        self.plan: RecordingPlan = self.config_init.writer.plan(self.model, self.datamodule)
        settings = self.config_init.trainer
        n_missing = len(self.plan.missing())
        self.granted = granted(settings.accelerator, settings.devices, settings.num_nodes, n_missing)
        return super().instantiate_trainer(**kwargs, devices=self.granted.devices)


def _check_there(images: Namespace) -> None:
    """Raise an InputError if there is nothing at the path of a source of saev's own; links it judges itself."""
    own = images.init_args.items() if images.class_path.startswith("saev.") else ()
    for name, value in own:
        if name in _PATHS and str(value).strip() and not os.path.lexists(value):
            raise InputError(f"--data.images.{name} '{value}' does not exist")


def predict(argv: list[str]) -> int:
    """Run `saev predict`."""
    if wants_help(argv):
        _cli(argv)
    with contextlib.redirect_stdout(sys.stderr), _skip_is_offered(), options_below("--data.images"):
        lines = record(argv)
    for line in lines:
        print(line)
    return 0


def _cli(argv: list[str]) -> RecordCLI:
    return RecordCLI(
        VitLightningModule,
        ImageDataModule,
        prog="saev predict",
        description=DESCRIPTION,
        argv=argv,
        trainer_class=recording_trainer,
        trainer_defaults={},
    )


def record(argv: list[str]) -> list[str]:
    """Record what is missing; the finished directories, in the order of the layers, or the plan of a dry run.

    Of several processes only the first one has something to say.
    """
    cli = _cli(argv)
    writer: VitActivationWriter = cli.config_init.writer
    plan = cli.plan
    if writer.dry_run:
        return [printable(line) for line in _plan_lines(cli, plan)] if cli.trainer.is_global_zero else []
    if cli.trainer.is_global_zero:
        plan.check_space()
        for line in _announcement(cli, plan):
            tell(line)
    if plan.pending:
        cli.model.layers = sorted(plan.pending)
        cli.trainer.predict(cli.model, cli.datamodule, return_predictions=False)
    finished = {**plan.finished, **writer.directories}
    return [str(finished[layer]) for layer in sorted(finished)] if cli.trainer.is_global_zero else []


def _announcement(cli: RecordCLI, plan: RecordingPlan) -> Iterator[str]:
    for directory in plan.finished.values():
        yield f"recorded already: {directory}"
    if not plan.pending:
        return
    beside = " beside the space that is reserved already" if plan.has_reserved else ""
    yield (
        f"recording layers {sorted(plan.pending)} of {len(cli.datamodule.images):,} images: "
        f"{byte_text(plan.n_missing_bytes)} will be written, {byte_text(plan.free)} are free{beside}"
    )
    if {"images", "masks"} <= {*cli.datamodule.images.class_names}:
        yield "masks are recorded as pictures, labelled 'masks': --data.images SegmentationFolder takes them as masks"
    n_missing, n_shards = len(plan.missing()), plan.layout.n_shards
    if n_missing < n_shards:
        yield f"{n_shards - n_missing} of {n_shards} shards of every layer are whole already: going on from there"
    if cli.granted.why is not None:
        asked, n = cli.config_init.trainer.devices, cli.trainer.world_size
        yield f"--trainer.devices {asked}: {n} process{'es' * (n > 1)} will do, because {cli.granted.why}"
    if (n := cli.trainer.world_size) > 1:
        yield f"{n} processes record {n_missing} whole shards: at most {-(-n_missing // n)} each"


def _plan_lines(cli: RecordCLI, plan: RecordingPlan) -> list[str]:
    """What a dry run prints."""
    lines = ["a dry run: nothing is recorded", *_announcement(cli, plan)]
    for layer, place in sorted(plan.pending.items()):
        lines.append(f"layer {layer}: {place.final}: {_shards(place)}")
    if plan.pending:
        rate = images_per_second(cli.model, cli.datamodule, cli.trainer.strategy.root_device)
        n_shards = -(-len(plan.missing()) // cli.trainer.world_size)  # of the process with the most to do
        seconds = n_shards * plan.layout.examples_per_shard / rate
        n, per_image = cli.trainer.world_size, sum(place.layout.bytes_per_example for place in plan.pending.values())
        each = f" in each of {n} processes" if n > 1 else ""
        lines.append(
            f"about {timedelta(seconds=round(seconds))} (h:mm:ss): {rate:.3g} images a second{each}, measured on a few "
            f"batches; the disk must take {byte_text(round(n * rate * per_image))} a second"
        )
    return lines


def _shards(place: PartialRecording) -> str:
    n, n_missing = place.layout.n_shards, len(place.missing())
    size = f"{n} shard{'s' * (n > 1)} of {byte_text(place.layout.bytes_per_shard)}"
    return size if n_missing == n else f"{size}, {n_missing} missing"


@contextlib.contextmanager
def _skip_is_offered() -> Iterator[None]:
    """Here and not where a picture is found bad: no other command leaves pictures out."""
    try:
        yield
    except BadImage as error:
        raise InputError(f"{error}, or leave it out with --data.on_bad_image skip") from error
