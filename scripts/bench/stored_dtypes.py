"""What storing activations in fewer bits costs, on recordings of the same thing that differ in their dtype.

The first table compares what is stored with the first recording: its FVU for each kind of token, and how far the
largest value of a token lies above its root mean square, which sets the step of int8. The second one has the FVU of
SAEs on the images that their training held out: their input as stored, the target as stored or from the first
recording.

    python scripts/bench/stored_dtypes.py FLOAT32 BFLOAT16 FLOAT16 INT8 --saes RUN/saes/NAME ...
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import saev
from saev.artifacts import read_provenance
from saev.metrics.reconstruction import fraction_of_variance_unexplained as fvu
from saev.nn import SparseAutoencoder
from saev.ranges import Ints
from saev.shards.format.layout import TokenKind
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection


def tokens(reader: ShardReader, kind: TokenKind, examples: Ints | None = None) -> Tensor:
    """The tokens of some or all examples, float32 (n, d)."""
    chosen = np.arange(reader.n_examples) if examples is None else examples
    selection = TokenSelection.of([reader], chosen, kind)
    return torch.cat(list(selection.read(chosen))).flatten(0, 1)


def present_kinds(reader: ShardReader) -> list[TokenKind]:
    layout = reader.layout.tokens
    return ["content", *(["cls"] * layout.cls), *(["registers"] * bool(layout.n_registers))]  # type: ignore[list-item]


def print_stored(readers: list[ShardReader]) -> None:
    print("dtype    | bytes a token | tokens | FVU | max / rms of a token, median")
    for kind in present_kinds(readers[0]):
        x = tokens(readers[0], kind)
        ratio = (x.abs().amax(-1) / x.square().mean(-1).sqrt()).median()
        for reader in readers:
            layout, error = reader.layout, fvu(x, tokens(reader, kind))
            print(f"{layout.dtype:8} | {layout.bytes_per_token} | {kind} | {error:.3g} | {ratio:.1f}")


@torch.no_grad()
def reconstructed(sae: SparseAutoencoder, x_nd: Tensor) -> Tensor:
    return torch.cat([sae(part) for part in torch.split(x_nd, 4096)])


def print_sae(directory: Path, readers: list[ShardReader]) -> None:
    sae, held_out = saev.load(directory), read_provenance(directory).data[0].held_out
    examples = held_out.images(readers[0].n_examples)
    x = tokens(readers[0], "content", examples)
    for reader in readers:
        stored = tokens(reader, "content", examples)
        x_hat = reconstructed(sae, stored)
        print(f"{directory} | {reader.layout.dtype:8} | {fvu(stored, x_hat):.5f} | {fvu(x, x_hat):.5f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path, nargs="+", help="the first one is compared with")
    parser.add_argument("--saes", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    readers = [open_shards(path) for path in options.shards]
    print_stored(readers)
    print("SAE | evaluated on | FVU of what is stored | FVU of the first recording")
    for directory in options.saes:
        print_sae(directory, readers)


if __name__ == "__main__":
    main()
