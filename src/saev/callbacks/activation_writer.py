"""Writes the activations of a prediction pass to shards."""

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import lightning
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.shards.byte_text import byte_text
from saev.shards.examples import ExampleRecord
from saev.shards.layout import ShardLayout, TokenLayout
from saev.shards.recording import Recording
from saev.shards.writer import ShardWriter, find_finished, leftover_bytes
from saev.vit.backbone import Backbone
from saev.vit.images import ImageSource


class RecordedModel(Protocol):
    """What is recorded: the part of the LightningModule that the writer looks at."""

    backbone: Backbone
    layers: list[int]
    precision: str


class RecordedImages(Protocol):
    """On which pictures: the part of the data module that the writer looks at."""

    images: ImageSource


@dataclass(frozen=True)
class RecordingPlan:
    """The directories of one recording: each layer is either pending or finished already."""

    pending: dict[int, Recording]
    finished: dict[int, Path]

    @property
    def n_bytes(self) -> int:
        """Bytes of activations that are still to be written."""
        return sum(recording.layout.total_bytes for recording in self.pending.values())


class VitActivationWriter(lightning.Callback):
    """Dumps the activations that a `VitLightningModule` predicts: one shard directory a layer.

    Directories are written under a temporary name and renamed when whole; after an exception or an interrupt
    nothing stays. A layer that is there already is left alone.

    Args:
        dump_to: Directory that the shard directories are made in.
        dtype: Of the stored activations. float16 is refused where a value overflows; int8 has a scale for each token.
        n_patches_per_shard: Upper bound of the tokens of a shard file.

    Raises:
        InputError: If there is too little space, or the pass runs in more than one process.
    """

    def __init__(
        self,
        dump_to: Path,
        dtype: Literal["float32", "bfloat16", "float16", "int8"] = "float32",
        n_patches_per_shard: int = 2_400_000,
    ) -> None:
        self._dump_to = Path(dump_to)
        self._dtype = dtype
        self._max_tokens = n_patches_per_shard
        self._writers: dict[int, ShardWriter] = {}
        self.directories: dict[int, Path] = {}

    def plan(self, model: RecordedModel, data: RecordedImages) -> RecordingPlan:
        """Which directories there will be, and which are there already.

        Raises:
            InputError: If what is missing does not fit the disk.
        """
        image_set = data.images.identity()  # Once: it goes through the names of all pictures.
        recordings = {layer: self._recording(model, data.images, image_set, layer) for layer in model.layers}
        found = {layer: find_finished(self._dump_to, recording) for layer, recording in recordings.items()}
        finished = {layer: path for layer, path in found.items() if path is not None}
        plan = RecordingPlan({layer: r for layer, r in recordings.items() if layer not in finished}, finished)
        # What a killed run left of the same recordings is cleared before they begin.
        stale = sum(leftover_bytes(self._dump_to, recording) for recording in plan.pending.values())
        free = free_bytes(self._dump_to) + stale
        if plan.n_bytes > free:
            raise InputError(
                f"{self._dump_to} has {byte_text(free)} free, but the recording needs {byte_text(plan.n_bytes)}: "
                "record fewer layers or another dtype, or give another --writer.dump_to"
            )
        return plan

    def free(self) -> int:
        """Free bytes where the directories go."""
        return free_bytes(self._dump_to)

    def _recording(self, model: RecordedModel, images: ImageSource, image_set: dict[str, Any], layer: int) -> Recording:
        backbone = model.backbone
        tokens = TokenLayout(backbone.cls, backbone.n_registers, backbone.grid)
        return Recording(
            name=f"{_slug(backbone.family, backbone.ckpt)}-layer{layer:02d}",
            model={
                "family": backbone.family,
                "ckpt": backbone.ckpt,
                "weights_digest": backbone.weights_digest,
                "precision": model.precision,
            },
            layer=layer,
            preprocessing=backbone.preprocessing.to_dict(),
            image_set=image_set,
            layout=ShardLayout.balanced(len(images), tokens, backbone.d_model, self._dtype, self._max_tokens),
            source=images.describe(),
            class_names=images.class_names,
            dataset=images.location,
            pixel_agg=images.pixel_agg,
        )

    @override
    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Plan, and open a writer for each layer that is missing."""
        if trainer.world_size > 1:
            raise InputError(f"recording runs in one process, not {trainer.world_size}: give --trainer.devices 1")
        data = cast(RecordedImages, trainer.datamodule)  # type: ignore[attr-defined]
        plan = self.plan(cast(RecordedModel, pl_module), data)
        self.directories = dict(plan.finished)
        for layer, recording in plan.pending.items():
            self._writers[layer] = ShardWriter(self._dump_to, recording, with_labels=data.images.has_masks)

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
        """Hand the batch to the writers, whose threads write while the next batch is computed."""
        images = cast(RecordedImages, trainer.datamodule).images  # type: ignore[attr-defined]
        examples = _examples(images, batch)
        for layer, writer in self._writers.items():
            writer.append(cast(Mapping[int, Tensor], outputs)[layer], examples, batch.get("patch_labels"))

    @override
    def on_predict_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Publish the directories."""
        for layer, writer in self._writers.items():
            self.directories[layer] = writer.finish()
        self._writers = {}

    @override
    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Remove what was begun."""
        self._abort()

    @override
    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Remove what was begun and not finished."""
        self._abort()

    def _abort(self) -> None:
        for writer in self._writers.values():
            writer.abort()
        self._writers = {}


def _examples(images: ImageSource, batch: Mapping[str, Any]) -> Sequence[ExampleRecord]:
    rows = zip(
        batch["index"].tolist(), batch["width"].tolist(), batch["height"].tolist(), batch["n_bytes"].tolist(),
        batch["digest"], strict=True,
    )  # fmt: skip
    entries = [(images.record(index), rest) for index, *rest in rows]
    return [ExampleRecord(entry.path, entry.label, *rest) for entry, rest in entries]


def _slug(*parts: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts)).strip("-.")


def free_bytes(path: Path) -> int:
    """Free bytes on the disk of a path that need not exist yet."""
    existing = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    return shutil.disk_usage(existing).free
