"""The survey of an SAE's latents over the pass that only reads and encodes, and its peak memory beside the bound.

Both do the same stretches of images in turn, in alternating order; the ratio of a round is that of its stretch. The
first rounds are the dearest for the survey: while the tables of top images fill, every image is news. Activations are
made up, in memory, as those of a ViT-B/16: CLS and 49 or 196 patches.

    python scripts/bench/visuals.py
    python scripts/bench/visuals.py --active 400 --architecture BatchTopK --patches 196
    python scripts/bench/visuals.py --shards SHARDS/NAME --sae RUN/saes/NAME

TopK chooses the latents of each token, which takes as long as the product with the encoder. BatchTopK, at evaluation,
only compares with a threshold, set here such that as many latents are active on average: the harder comparison.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from shards_on_disk import D_MODEL, activations
from torch import Tensor

from saev.artifacts.sae_files import load_sae
from saev.latents.sparse import SparseCodes, Spots
from saev.latents.survey import LatentSurvey, tables_bytes, update_bytes
from saev.nn import ARCHITECTURES, BatchTopK, SparseAutoencoder
from saev.nn.functional import images_at_once
from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection

N_IMAGE_LABELS, N_PATCH_LABELS = 1000, 151


class Source(Protocol):
    """Images whose activations can be read."""

    spots: Spots
    n_images: int

    def read(self, start: int, stop: int) -> Tensor: ...


class InMemory:
    """Made-up activations."""

    def __init__(self, n_images: int, n_patches: int) -> None:
        generator = torch.Generator().manual_seed(0)
        parts = [activations(min(64, n_images - i), generator)[:, : 1 + n_patches] for i in range(0, n_images, 64)]
        self._acts = torch.cat(parts)
        self.spots = Spots(1 + n_patches, range(1, 1 + n_patches), cls=0)
        self.n_images = n_images

    def read(self, start: int, stop: int) -> Tensor:
        return self._acts[start:stop]


class OnDisk:
    """Shards."""

    def __init__(self, path: Path, n_images: int) -> None:
        reader = open_shards(path)
        self._tokens = TokenSelection.of([reader], np.arange(min(n_images, reader.n_examples)), "all")
        self.n_images = len(self._tokens.examples)
        layout = reader.layout.tokens
        content = layout.positions("content")
        self.spots = Spots(layout.n_tokens, content, 0 if layout.cls else None)

    def read(self, start: int, stop: int) -> Tensor:
        return torch.cat(list(self._tokens.read(self._tokens.examples[start:stop])))


def made_up(architecture: str, d_sae: int, active: int, acts: Tensor) -> SparseAutoencoder:
    """An untrained SAE with so many active latents a token."""
    torch.manual_seed(0)
    sae = ARCHITECTURES[architecture](D_MODEL, d_sae, **({} if architecture == "ReLU" else {"k": active})).eval()
    if isinstance(sae, BatchTopK):
        h = sae.pre_activations(sae.normalize(acts[:8])).flatten(0, 1)
        sae.selection.threshold.fill_(h.sort(1).values[:, -active].mean().item())  # type: ignore[operator]
    return sae


@dataclass
class Pass:
    """One pass over a source, a stretch at a time."""

    source: Source
    sae: SparseAutoencoder

    def codes(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        step = images_at_once(self.sae.d_sae, self.source.spots.n_positions)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            yield torch.arange(first, last), self.sae.encode(self.source.read(first, last))

    def plain(self, start: int, stop: int) -> None:
        for _ in self.codes(start, stop):
            pass

    def surveyed(self, survey: LatentSurvey, start: int, stop: int) -> None:
        n_patches = len(self.source.spots.patches)
        for ids, f_bts in self.codes(start, stop):
            patch_labels = ((ids[:, None] + torch.arange(n_patches) // 7) % N_PATCH_LABELS).numpy()
            for images, part in SparseCodes.parts(f_bts):
                ids_b = ids.numpy()[images]
                survey.add(part, ids_b, ids_b % N_IMAGE_LABELS, patch_labels[images])


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def compare(name: str, source: Source, sae: SparseAutoencoder, top_k: int, rounds: int) -> None:
    made = Pass(source, sae)
    spots = source.spots
    survey = LatentSurvey(sae.d_sae, spots, top_k, n_image_labels=N_IMAGE_LABELS, n_patch_labels=N_PATCH_LABELS)
    bounds = [source.n_images * i // rounds for i in range(rounds + 1)]
    made.plain(*bounds[:2])  # Warm from here on.
    before, pairs = peak_mb(), []
    for number, (start, stop) in enumerate(pairwise(bounds)):
        both = [lambda: made.plain(start, stop), lambda: made.surveyed(survey, start, stop)]  # noqa: B023
        took = [seconds(work) for work in (both if number % 2 == 0 else both[::-1])]
        pairs.append(tuple(took if number % 2 == 0 else took[::-1]))
    taken, plain, surveyed = peak_mb() - before, *(sum(times) for times in zip(*pairs, strict=True))
    tables = tables_bytes(sae.d_sae, top_k, n_image_labels=N_IMAGE_LABELS, n_patch_labels=N_PATCH_LABELS)
    bound = tables + update_bytes(sae.d_sae, spots.n_positions)
    n_tokens = source.n_images * spots.n_positions
    ratios = [b / a for a, b in pairs]
    print(
        f"{name:>22}: {survey.moments.fires.sum() / n_tokens:5.1f} active a token, {n_tokens / plain:6.0f} tokens/s "
        f"plain, {n_tokens / surveyed:6.0f} with the survey, time ratio {statistics.median(ratios):.3f} (rounds "
        f"{min(ratios):.2f} to {max(ratios):.2f}, total {surveyed / plain:.3f}), {taken:.0f} MB more at the peak, "
        f"bound {bound / 1e6:.0f} MB",
        flush=True,
    )


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--d_sae", type=int, default=24_576)
    parser.add_argument("--top_k", type=int, default=128)
    parser.add_argument("--active", type=int, nargs="+", default=[32, 400], help="latents a token")
    parser.add_argument("--architecture", nargs="+", default=["TopK", "BatchTopK"])
    parser.add_argument("--patches", type=int, choices=[49, 196], default=49)
    parser.add_argument("--images", type=int, default=660, help="images at most")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--shards", type=Path, help="shards instead of made-up activations")
    parser.add_argument("--sae", type=Path, help="directory of the SAE for these")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.shards:
        source: Source = OnDisk(options.shards, options.images)
        compare("shards", source, load_sae(options.sae).eval(), options.top_k, options.rounds)
        return
    if len(options.architecture) * len(options.active) > 1:  # Each in a process of its own, for the sake of its peak.
        for architecture, active in product(options.architecture, options.active):
            command = [sys.executable, *sys.argv, "--architecture", architecture, "--active", str(active)]
            subprocess.run(command, check=True)
        return
    (architecture,), (active,) = options.architecture, options.active
    source = InMemory(options.images, options.patches)
    sae = made_up(architecture, options.d_sae, active, source.read(0, 8))
    compare(f"{architecture} {active}", source, sae, options.top_k, options.rounds)


if __name__ == "__main__":
    main()
