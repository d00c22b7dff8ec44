"""Small recordings for the tests of shards."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tests.writable import writable
from torch import Tensor

from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.recording import Recording
from saev.shards.writing.partial import PartialRecording
from saev.shards.writing.writer import ShardWriter

TOKENS = TokenLayout(cls=True, n_registers=0, grid=(2, 3))
# Of `make_recording()` with labels.
EVERY_FILE = (
    "acts000000.bin", "acts000001.bin", "acts000002.bin", "examples.jsonl", "labels.bin", "manifest.json",
    "metadata.json", "shards.json", "units.xxh3",
)  # fmt: skip
TORCH_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def make_recording(
    n_examples: int = 11,
    tokens: TokenLayout = TOKENS,
    d_model: int = 5,
    dtype: str = "float32",
    budget: int = 28,
    family: str = "clip",
    layer: int = 10,
    source: str = "/here",
) -> Recording:
    return Recording(
        name="vit-layer10",
        model={"family": family, "ckpt": "ViT/tag", "weights_digest": "ab" * 32, "precision": "float32"},
        layer=layer,
        preprocessing={"library": "open_clip", "config": {"mean": [0.5, 0.25, 0.125], "size": 224}},
        image_set={"class": "ImageFolder", "sha256": "cd" * 32},
        layout=ShardLayout.balanced(n_examples, tokens, d_model, dtype, budget),
        source={"class": "ImageFolder", "args": {"root": source}},
        class_names=["bird", "plane"],
        dataset=source,
    )


def make_acts(recording: Recording, seed: int = 0) -> Tensor:
    layout = recording.layout
    shape = (layout.n_examples, layout.tokens.n_tokens, layout.d_model)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def make_examples(n: int) -> list[ExampleRecord]:
    return [ExampleRecord(f"bird/{i}-\udcff-ü.png", "bird", 640, 480 + i, 1000 + i, "ef" * 32) for i in range(n)]


def make_labels(recording: Recording) -> Tensor:
    shape = (recording.layout.n_examples, recording.layout.tokens.n_content)
    return torch.arange(shape[0] * shape[1]).remainder(256).to(torch.uint8).reshape(shape)


def begin(root: Path, recording: Recording, with_labels: bool = False) -> tuple[PartialRecording, ShardWriter]:
    """A claimed place and a writer of all that is missing there."""
    place = PartialRecording(root, recording, with_labels=with_labels)
    place.claim()
    return place, ShardWriter(place, place.missing())


def write(
    writer: ShardWriter,
    recording: Recording,
    acts: Tensor,
    shards: Iterable[int],
    batch: int = 4,
    labels: Tensor | None = None,
    examples: Sequence[ExampleRecord] | None = None,
) -> None:
    """Write the examples of some shards, in batches that don't cross shards."""
    examples = examples or make_examples(len(acts))
    for shard in shards:
        span = recording.layout.examples_in(shard)
        for start in range(span.start, span.stop, batch):
            part = slice(start, min(start + batch, span.stop))
            writer.append(start, acts[part], examples[part], None if labels is None else labels[part])


def record(
    root: Path,
    recording: Recording,
    acts: Tensor,
    batch: int = 4,
    labels: Tensor | None = None,
    examples: Sequence[ExampleRecord] | None = None,
) -> Path:
    """Record what is missing of all shards, in one go; the directory may be changed."""
    place, writer = begin(root, recording, labels is not None)
    try:
        write(writer, recording, acts, range(recording.layout.n_shards), batch, labels, examples)
        writer.finish()
        return writable(place.publish())
    finally:
        writer.abort()
        place.leave()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))
