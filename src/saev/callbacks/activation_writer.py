"""Writes the activations of a prediction pass to shards."""

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import lightning
from torch import Tensor
from typing_extensions import override

from saev.callbacks.recording_plan import RecordedImages, RecordedModel, RecordingPlan, make_plan
from saev.errors import InputError
from saev.shards.format.examples import ExampleRecord
from saev.shards.writing.partial import PartialRecording
from saev.shards.writing.writer import ShardWriter
from saev.vit.images import ImageSource

log = logging.getLogger(__name__)
T = TypeVar("T")


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
        self._places: dict[int, PartialRecording] = {}
        self._writers: dict[int, ShardWriter] = {}
        self._terminate: Any = None
        self.directories: dict[int, Path] = {}

    def plan(self, model: RecordedModel, data: RecordedImages) -> RecordingPlan:
        """Which directories there will be, and which are there already.

        Raises:
            InputError: If one is there that is not whole.
        """
        return make_plan(model, data, dump_to=self.dump_to, dtype=self._dtype, max_tokens=self._max_tokens)

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Claim the places, and divide the shards that are missing among the processes."""
        data = cast(RecordedImages, trainer.datamodule)  # type: ignore[attr-defined]

        plan = self.plan(cast(RecordedModel, pl_module), data)
        self.directories = dict(plan.finished)
        self._places = {} if self.dry_run else dict(plan.pending)
        missing = _by_first_process(trainer, lambda: self._claim(plan))
        if not trainer.is_global_zero:
            self._join(set(missing))
        self._terminate = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
        todo = sorted({shard for shards in missing.values() for shard in shards})
        mine = todo[trainer.global_rank :: trainer.world_size]
        for layer, place in self._places.items():
            self._writers[layer] = ShardWriter(place, sorted({*mine} & {*missing[place.final.name]}))
        data.select([plan.layout.examples_in(shard) for shard in mine])

    def _claim(self, plan: RecordingPlan) -> dict[str, list[int]]:
        """The shards that are missing, by the name of the directory."""
        plan.check_space()
        for place in self._places.values():
            place.claim()
        return {place.final.name: place.missing() for place in self._places.values()}

    def _join(self, names: set[str]) -> None:
        if names != {place.final.name for place in self._places.values()}:
            raise InputError(
                f"this process would record {sorted(place.final.name for place in self._places.values())}, the first "
                f"one {sorted(names)}: all must see the same pictures, weights and directories"
            )
        for place in self._places.values():
            place.join()

    @override
    def on_predict_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take SIGTERM back: the trainer's own handler waits for the other processes, which may not have got it."""
        signal.signal(signal.SIGTERM, self._terminate)

    @override
    def on_predict_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Hand the batch to the writers, which write while the next batch is computed."""
        images = cast(RecordedImages, trainer.datamodule).images  # type: ignore[attr-defined]
        examples = _examples(images, batch)
        for layer, writer in self._writers.items():
            acts = cast(Mapping[int, Tensor], outputs)[layer]
            writer.append(int(batch["index"][0]), acts, examples, batch.get("patch_labels"))

    @override
    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Wait for all shards of all processes, and publish the directories."""
        # Not in on_predict_end: a process without a batch does not get there.
        for writer in self._writers.values():
            writer.finish()
        self._writers = {}
        trainer.strategy.barrier("all shards are whole")
        self.directories |= _by_first_process(trainer, self._publish)
        for place in self._places.values():
            place.leave()
        self._places = {}

    def _publish(self) -> dict[int, Path]:
        return {layer: place.publish() for layer, place in self._places.items()}

    @override
    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Stop, keep the shards that are whole, and say so."""
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGTERM)  # the other processes of this machine
        for writer in self._writers.values():
            writer.abort()
        self._writers = {}
        for place in self._places.values():
            place.leave()
            n_whole, n_shards = place.progress()
            if n_whole and trainer.is_global_zero:
                said = "%s: %d of %d shards are whole and stay; the same command goes on from there"
                log.warning(said, place.path, n_whole, n_shards)
        self._places = {}


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


def _examples(images: ImageSource, batch: Mapping[str, Any]) -> Sequence[ExampleRecord]:
    rows = zip(
        batch["index"].tolist(), batch["width"].tolist(), batch["height"].tolist(), batch["n_bytes"].tolist(),
        batch["digest"], strict=True,
    )  # fmt: skip
    entries = [(images.record(index), rest) for index, *rest in rows]
    return [ExampleRecord(entry.path, entry.label, *rest) for entry, rest in entries]
