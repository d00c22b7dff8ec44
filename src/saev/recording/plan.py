"""What a recording will write, and where."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from saev.byte_text import byte_text
from saev.errors import InputError
from saev.files import free_bytes
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.metadata import Metadata
from saev.shards.format.recording import Recording
from saev.shards.writing.partial import PartialRecording
from saev.vit.backbone import Backbone
from saev.vit.images import ImageSource, description


@dataclass(frozen=True)
class RecordingPlan:
    """The directories of one recording: each layer is either pending or finished already."""

    pending: Mapping[int, PartialRecording]
    finished: Mapping[int, Path]
    layout: ShardLayout
    """Of every layer: they are of one model and one set of pictures."""
    dump_to: Path
    """Where the directories go."""
    free: int
    """Free bytes there."""

    @property
    def n_bytes(self) -> int:
        """Disk space that is still to be taken."""
        return sum(max(0, place.n_bytes - place.allocated()) for place in self.pending.values())

    @property
    def n_missing_bytes(self) -> int:
        """Bytes of the shards that are missing, reserved or not."""
        return sum(len(place.missing()) * place.layout.bytes_per_shard for place in self.pending.values())

    @property
    def has_reserved(self) -> bool:
        """Whether an earlier run has reserved space for some of them."""
        return any(place.allocated() for place in self.pending.values())

    def check_space(self) -> None:
        """Raise InputError if what is missing does not fit the disk."""
        if self.n_bytes > self.free:
            raise InputError(
                f"{self.dump_to} has {byte_text(self.free)} free, but the recording needs {byte_text(self.n_bytes)}: "
                "record fewer layers or another dtype, or give another --writer.dump_to"
            )

    def missing(self) -> list[int]:
        """The shards that some layer lacks."""
        return sorted({shard for place in self.pending.values() for shard in place.missing()})


def make_plan(
    images: ImageSource,
    backbone: Backbone,
    layers: Sequence[int],
    *,
    precision: str,
    dump_to: Path,
    dtype: str,
    max_tokens: int,
) -> RecordingPlan:
    """Which directories there will be, and which are there already.

    Args:
        layers: Its blocks, from 0.
        precision: Of the forward pass: float32 or bfloat16.
        dump_to: Directory that the shard directories are made in.
        max_tokens: Upper bound of the tokens of a shard file.

    Raises:
        InputError: If one is there that is not whole.
    """
    image_set = images.identity()  # Once: it goes through the names of all pictures.
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", f"{backbone.family}-{backbone.ckpt}").strip("-.")
    tokens = TokenLayout(backbone.cls, backbone.n_registers, backbone.grid)
    layout = ShardLayout.balanced(len(images), tokens, backbone.d_model, dtype, max_tokens)
    source = description(images)
    pending: dict[int, PartialRecording] = {}
    finished: dict[int, Path] = {}
    for layer in layers:
        recording = Recording(
            name=f"{slug}-layer{layer:02d}",
            model={
                "family": backbone.family,
                "ckpt": backbone.ckpt,
                "weights_digest": backbone.weights_digest,
                "precision": precision,
            },
            layer=layer,
            preprocessing=backbone.preprocessing.to_dict(),
            image_set=image_set,
            layout=layout,
            source=source,
            class_names=images.class_names,
            dataset=images.location,
            pixel_agg=images.pixel_agg,
        )
        Metadata.of(recording)  # what does not fit into it must not be found out at the end
        place = PartialRecording(dump_to, recording, with_labels=images.has_masks)
        if (directory := place.finished()) is not None:
            finished[layer] = directory
        else:
            pending[layer] = place
    return RecordingPlan(pending, finished, layout, dump_to, free_bytes(dump_to))
