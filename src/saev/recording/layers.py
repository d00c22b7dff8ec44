"""The layers of one recording while they are written."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from torch import Tensor

from saev.errors import InputError
from saev.recording.plan import RecordingPlan
from saev.shards.format.examples import ExampleRecord
from saev.shards.writing.partial import PartialRecording
from saev.shards.writing.writer import ShardWriter
from saev.vit.images import ImageSource

log = logging.getLogger(__name__)


@final
class LayerWriters:
    """Writes the activations of one pass to the shard directories of all layers that are pending.

    One process claims, all others join; then each opens the shards that it writes, appends and finishes. When all
    have, the first one publishes. `leave` or `abort` comes last.
    """

    def __init__(self, plan: RecordingPlan) -> None:
        self._plan = plan
        self._places: dict[int, PartialRecording] = dict(plan.pending)
        self._writers: dict[int, ShardWriter] = {}

    def claim(self) -> dict[str, list[int]]:
        """Keep other runs away; the shards that are missing, by the name of the directory.

        Raises:
            InputError: If there is too little space, or another run is recording the same thing.
        """
        self._plan.check_space()
        for place in self._places.values():
            place.claim()
        return {place.final.name: place.missing() for place in self._places.values()}

    def join(self, claimed: set[str]) -> None:
        """Take part in what another process of this run has claimed.

        Raises:
            InputError: If that one records other directories.
        """
        own = {place.final.name for place in self._places.values()}
        if claimed != own:
            raise InputError(
                f"this process would record {sorted(own)}, the first one {sorted(claimed)}: all must see the same "
                "pictures, weights and directories"
            )
        for place in self._places.values():
            place.join()

    def open(self, missing: Mapping[str, Sequence[int]], shards: Sequence[int]) -> list[range]:
        """Get ready to write some shards of every layer that lacks them; the stretches of images that they hold."""
        for layer, place in self._places.items():
            self._writers[layer] = ShardWriter(place, sorted({*shards} & {*missing[place.final.name]}))
        return [self._plan.layout.examples_in(shard) for shard in shards]

    def append(self, images: ImageSource, batch: Mapping[str, Any], acts: Mapping[int, Tensor]) -> None:
        """Hand over a batch, which is written while the next one is computed.

        Args:
            batch: Items of an `ImageDataset`, collated: images that follow each other.
            acts: By layer the activations (B, T, D) of any floating dtype on any device.

        Raises:
            InputError: If activations are not finite or overflow, or the disk does not take them; that may come with
                a later batch.
        """
        examples = _examples(images, batch)
        for layer, writer in self._writers.items():
            writer.append(int(batch["index"][0]), acts[layer], examples, batch.get("patch_labels"))

    def finish(self) -> None:
        """Wait until all shards of this process are whole.

        Raises:
            InputError: If the disk does not take them.
        """
        for writer in self._writers.values():
            writer.finish()
        self._writers = {}

    def publish(self) -> dict[int, Path]:
        """Give the directories their final names; by layer.

        Raises:
            InputError: If the disk does not take it.
        """
        return {layer: place.publish() for layer, place in self._places.items()}

    def leave(self) -> None:
        """Let other runs in."""
        for place in self._places.values():
            place.leave()
        self._places = {}

    def abort(self, *, says: bool) -> None:
        """Stop and leave; the shards that are whole stay, and with `says` the log has their number."""
        for writer in self._writers.values():
            writer.abort()
        self._writers = {}
        for place in self._places.values():
            place.leave()
            n_whole, n_shards = place.progress()
            if n_whole and says:
                said = "%s: %d of %d shards are whole and stay; the same command goes on from there"
                log.warning(said, place.path, n_whole, n_shards)
        self._places = {}


def _examples(images: ImageSource, batch: Mapping[str, Any]) -> Sequence[ExampleRecord]:
    rows = zip(
        batch["index"].tolist(), batch["width"].tolist(), batch["height"].tolist(), batch["n_bytes"].tolist(),
        batch["digest"], strict=True,
    )  # fmt: skip
    entries = [(images.record(index), rest) for index, *rest in rows]
    return [ExampleRecord(entry.path, entry.label, *rest) for entry, rest in entries]
