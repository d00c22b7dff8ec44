"""Shards of made-up activations for the benchmarks."""

from pathlib import Path

import torch
from torch import Tensor

from saev.shards.format.examples import ExampleRecord
from saev.shards.format.layout import ShardLayout, TokenLayout
from saev.shards.format.recording import Recording
from saev.shards.writing.partial import PartialRecording
from saev.shards.writing.writer import ShardWriter

D_MODEL = 768
GRID = (14, 14)
_AT_ONCE = 32


def activations(n: int, generator: torch.Generator) -> Tensor:
    """(n, 197, 768): half of the variance is the image's, a quarter that of a place in it, the rest the token's."""
    image = torch.randn(n, 1, D_MODEL, generator=generator)
    place = torch.randn(n, D_MODEL, 4, 4, generator=generator)
    place = torch.nn.functional.interpolate(place, GRID, mode="bilinear").flatten(2).transpose(1, 2)
    token = torch.randn(n, 1 + place.shape[1], D_MODEL, generator=generator)
    made: Tensor = image * 0.5**0.5 + token * 0.25**0.5 + torch.nn.functional.pad(place * 0.4**0.5, (0, 0, 1, 0))
    return made


def write(root: Path, gb: float, dtype: str) -> Path:
    """A recording of a ViT-B/16 of about this size, in two files at least."""
    tokens = TokenLayout(cls=True, n_registers=0, grid=GRID)
    n_bytes = ShardLayout(1, tokens, D_MODEL, dtype, 1).bytes_per_example
    n = max(2, int(gb * 1e9) // n_bytes)
    layout = ShardLayout.balanced(n, tokens, D_MODEL, dtype, min(2_400_000, -(-n // 2) * tokens.n_tokens))
    model: dict[str, object] = {"family": "clip", "ckpt": "none", "weights_digest": "", "precision": "float32"}
    place = PartialRecording(root, Recording("bench", model, 0, {}, {}, layout))
    place.claim()
    writer = ShardWriter(place, place.missing())
    generator = torch.Generator().manual_seed(0)
    for shard in range(layout.n_shards):
        examples = layout.examples_in(shard)
        for start in range(0, len(examples), _AT_ONCE):
            names = examples[start : start + _AT_ONCE]
            records = [ExampleRecord(str(i), None, 1, 1, 1, "") for i in names]
            writer.append(names.start, activations(len(names), generator), records)
    writer.finish()
    return place.publish()
