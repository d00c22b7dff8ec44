"""Time and memory of what looks at all latents: scores for all attributes, and maxT.

    python scripts/bench/probing.py
    python scripts/bench/probing.py --only max_t --latents 8192

Latents are sparse as those of an SAE: the number of pictures with a value above 0 is geometric around `--per_latent`,
and one latent in 200 fires on each picture. Each part runs in a process of its own, one thread, so that its peak is its
own; the values' own memory is said beside it.
"""

import argparse
import resource
import time
from multiprocessing import get_context
from typing import Any

import numpy as np
from scipy import sparse

from saev.probing.statistics.all_latents import correlations, latent_scores
from saev.probing.statistics.exchange import Exchange
from saev.probing.statistics.max_t import max_t

EACH_PICTURE = 200  # One latent in so many fires on each picture.


def values(n_pictures: int, n_latents: int, per_latent: int, rng: np.random.Generator) -> Any:
    """Sparse (pictures, latents) float32."""
    counts = np.minimum(rng.geometric(1 / per_latent, n_latents), n_pictures)
    counts[::EACH_PICTURE] = n_pictures
    ends = np.append(0, np.cumsum(counts))
    rows, data = np.empty(ends[-1], np.int32), rng.gamma(1, 1, ends[-1]).astype(np.float32)
    for latent, count in enumerate(counts):
        chosen = rng.choice(n_pictures, count, replace=False)
        rows[ends[latent] : ends[latent + 1]] = np.sort(chosen)
    return sparse.csc_array((data, rows, ends), shape=(n_pictures, n_latents))


def labels(n_pictures: int, n_attributes: int, rng: np.random.Generator) -> Any:
    """(pictures, attributes) of prevalences between 1 and 50 %."""
    return (rng.random((n_pictures, n_attributes)) < rng.uniform(0.01, 0.5, n_attributes)).astype(np.int8)


def run(part: str, options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    n_latents = options.latents or (4096 if part == "max_t" else 16_384)
    n_pictures = options.pictures or (5000 if part == "max_t" else 10_000)
    pooled = values(n_pictures, n_latents, options.per_latent, rng)
    y = labels(n_pictures, options.attributes, rng)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start, start_own = time.perf_counter(), time.process_time()
    if part == "latent_scores":
        latent_scores(pooled, y)
        what = f"{options.attributes} attributes"
    elif part == "correlations":
        correlations(pooled, rng.normal(size=y.shape))
        what = f"{options.attributes} attributes"
    else:
        max_t(pooled, [Exchange.of(y[:, 0])], [0], None, options.permutations, rng)
        what = f"{options.permutations} permutations"
    seconds, own = time.perf_counter() - start, time.process_time() - start_own
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shape = f"{n_latents} latents x {what} x {n_pictures} pictures, {pooled.nnz / 1e6:.1f} million values"
    used = f"{seconds:.1f} s, {own:.1f} of them on a processor"
    print(f"{part:14} | {shape} | {used} | {peak_mb:.0f} MB at the peak, {before_mb:.0f} before", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ["latent_scores", "correlations", "max_t"]
    parser.add_argument("--only", choices=parts, nargs="*", default=parts)
    parser.add_argument("--latents", type=int, help="without it 16,384, and 4,096 for max_t")
    parser.add_argument("--pictures", type=int, help="without it 10,000, and 5,000 for max_t")
    parser.add_argument("--attributes", type=int, default=100)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--per_latent", type=int, default=300, help="pictures on which a latent fires, on average")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for part in options.only:
        process = get_context("spawn").Process(target=run, args=(part, options))
        process.start()
        process.join()
        if process.exitcode:
            raise SystemExit(f"{part} failed")


if __name__ == "__main__":
    main()
