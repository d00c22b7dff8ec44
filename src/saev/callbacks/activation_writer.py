"""Writes the activations of a prediction pass to shards."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, cast

import lightning
from typing_extensions import override

from saev.errors import InputError
from saev.recording.layers import LayerWriters
from saev.recording.plan import RecordingPlan, make_plan
from saev.vit.backbone import Backbone
from saev.vit.images import ImageSource

T = TypeVar("T")


class RecordedModel(Protocol):
    """What is recorded: the part of the LightningModule that is looked at."""

    backbone: Backbone
    layers: list[int]
    precision: str


class RecordedImages(Protocol):
    """On which pictures: the part of the data module that is looked at."""

    images: ImageSource

    def select(self, spans: Sequence[range]) -> None:
        """Give only these stretches of pictures."""


class VitActivationWriter(lightning.Callback):
    """Dumps the activations that a `VitLightningModule` predicts: one shard directory a layer.

    Directories are written under a hidden name and renamed when whole. Several processes record disjoint whole
    shards and give the same bytes as one. After an interruption the shards that are whole stay, and the same
    command goes on from there. A layer that is there already is left alone.

    Args:
        dump_to: Directory that the shard directories are made in.
        dtype: Of the stored activations. float16 is refused where a value overflows; int8 has a scale for each token.
        n_patches_per_shard: Upper bound of the tokens of a shard file.
        dry_run: Print what would be recorded, how large it is and about how long it takes, and record nothing.

    Raises:
        InputError: If there is too little space, or another run is recording the same thing.
    """

    def __init__(
        self,
        dump_to: Path,
        dtype: Literal["float32", "bfloat16", "float16", "int8"] = "float32",
        n_patches_per_shard: int = 2_400_000,
        dry_run: bool = False,
    ) -> None:
        self.dump_to = Path(dump_to)
        self.dry_run = dry_run
        self._dtype = dtype
        self._max_tokens = n_patches_per_shard
        self._writers: LayerWriters | None = None
        self._terminate: Any = None
        self.directories: dict[int, Path] = {}

    def plan(self, model: RecordedModel, data: RecordedImages) -> RecordingPlan:
        """Which directories there will be, and which are there already.

        Raises:
            InputError: If one is there that is not whole.
        """
        return make_plan(
            data.images,
            model.backbone,
            model.layers,
            precision=model.precision,
            dump_to=self.dump_to,
            dtype=self._dtype,
            max_tokens=self._max_tokens,
        )

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Claim the places, and divide the shards that are missing among the processes."""
        data = cast(RecordedImages, trainer.datamodule)  # type: ignore[attr-defined]
        plan = self.plan(cast(RecordedModel, pl_module), data)
        self.directories = dict(plan.finished)
        self._writers = writers = LayerWriters(replace(plan, pending={}) if self.dry_run else plan)
        missing = _by_first_process(trainer, writers.claim)
        if not trainer.is_global_zero:
            writers.join(set(missing))
        self._terminate = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
        todo = sorted({shard for shards in missing.values() for shard in shards})
        data.select(writers.open(missing, todo[trainer.global_rank :: trainer.world_size]))

    @override
    def on_predict_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take SIGTERM back: the trainer's own handler waits for the other processes, which may not have got it."""
        signal.signal(signal.SIGTERM, self._terminate)

    @override
    def on_predict_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        """Hand the batch to the writers, which write while the next batch is computed."""
        assert self._writers is not None, "before setup"
        images = cast(RecordedImages, trainer.datamodule).images  # type: ignore[attr-defined]
        self._writers.append(images, batch, outputs)

    @override
    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Wait for all shards of all processes, and publish the directories."""
        # Not in on_predict_end: a process without a batch does not get there.
        if self._writers is None:
            return
        self._writers.finish()
        trainer.strategy.barrier("all shards are whole")
        self.directories |= _by_first_process(trainer, self._writers.publish)
        self._writers.leave()
        self._writers = None

    @override
    def on_exception(self, trainer: lightning.Trainer, *args: Any) -> None:
        """Stop, keep the shards that are whole, and say so."""
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGTERM)  # the other processes of this machine
        if self._writers is not None:
            self._writers.abort(says=trainer.is_global_zero)
        self._writers = None


def _by_first_process(trainer: lightning.Trainer, work: Callable[[], T]) -> T:
    """Do something in the first process and give its result to all; if it fails, all of them end."""
    result, failure = None, None
    if trainer.is_global_zero:
        try:
            result = work()
        except InputError as error:
            failure = error
    result, failed = trainer.strategy.broadcast((result, failure is not None))
    if failure is not None:
        raise failure
    if failed:
        raise SystemExit(1)  # the first process says why
    return cast(T, result)
