"""How many intervals cover the true effect, of real latents and real labels.

    python scripts/bench/coverage.py --shards SHARDS/NAME --codes CODES --masks SCENES/masks \\
        --classes SCENES/classes.txt

A class, a group of classes (by the first word of their names) or half of the classes is the attribute; a latent that
agrees well with it on the proposal half, with its threshold, is the hypothesis. Each half of the recording stands for a
population, of which samples are drawn with replacement, so that it has no end, as `saev probe build` draws them:

all: pictures as they come, as a set that is the whole test half. by label: as many with the attribute as without it,
with weights. by value: over the range of the latent's values, cut at the threshold, with
weights.

What is printed is the share of intervals that hold the MCC of the population, of those that lie above it and under it,
and their mean length, by prevalence and effect, each with as many samples.
"""

import argparse
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from probing_real import Data

from saev.latents.codes import open_codes
from saev.probing.pictures.pooled import pooled
from saev.probing.sets.sampling import stratified_sample
from saev.probing.statistics.all_latents import latent_scores
from saev.probing.statistics.arrays import Bools, Floats
from saev.probing.statistics.bootstrap import Interval, interval
from saev.probing.statistics.scores import Counts, mcc

RANKS = (0, 5)  # Of the latents of each attribute.
TILED = 20  # Times as many pictures as a sample has: the pool of a stratified sample, at least.
PREVALENCES = ((0, 0.15), (0.15, 0.3), (0.3, 1))
EFFECTS = ((-1, 0.1), (0.1, 0.25), (0.25, 1))


class Population(NamedTuple):
    """A latent and an attribute on the pictures of a half."""

    a_i: Floats
    threshold: float
    y_i: Bools

    @property
    def fires_i(self) -> Bools:
        found: Bools = self.a_i > self.threshold
        return found


def attributes(data: Data) -> Mapping[str, Bools]:
    """Classes, and some of them together: rare, common and in between."""
    y_ij = data.y_ij == 1
    found = dict(zip(data.names, y_ij.T, strict=True))
    groups = [name.partition("_")[0] for name in data.names]
    for group in dict.fromkeys(groups):
        if groups.count(group) > 1:
            found[f"{group}, any"] = y_ij[:, [one == group for one in groups]].any(1)
    return found | {"every second class": y_ij[:, ::2].any(1)}


def populations(data: Data, codes: Path) -> Iterator[Population]:
    pooled_il = pooled(open_codes(codes), range(data.reader.n_examples), progress=False)
    y_ij = np.stack(list(attributes(data).values()), axis=1)
    found = latent_scores(pooled_il[~data.is_test_i], y_ij[~data.is_test_i].astype(np.int8))
    for j in range(y_ij.shape[1]):
        for latent in np.argsort(-found.mcc[:, j])[list(RANKS)]:
            a_i = pooled_il[:, [latent]].toarray()[:, 0]
            for half_i in (data.is_test_i, ~data.is_test_i):
                yield Population(a_i[half_i], float(found.threshold[latent, j]), y_ij[half_i, j])


def drawn(one: Population, kind: str, n: int, n_draws: int, rng: np.random.Generator) -> Interval | None:
    """The interval of a sample; None where its labels are all the same, which no set's are."""
    stratum: Any = None
    weights = None
    if kind == "all":
        some = rng.integers(0, len(one.y_i), n)
    elif kind == "by label":
        sides = [np.flatnonzero(one.y_i == label) for label in (True, False)]
        some = np.concatenate([rng.choice(side, n // 2) for side in sides])
        stratum = one.y_i[some]
        weights = np.where(stratum, *(len(side) / (n // 2) for side in sides))
    else:
        a_i = np.tile(one.a_i, -(-TILED * n // len(one.a_i)))
        sample = stratified_sample(a_i, one.threshold, n, int(rng.integers(2**31)))
        some, stratum, weights = sample.pictures_k % len(one.a_i), sample.strata_k, sample.weights_k
    y_k = one.y_i[some]
    if y_k.all() or not y_k.any():
        return None
    return interval(
        Counts.mcc, one.fires_i[some], y_k, n_draws, rng, weights, None, stratum, is_by_label=kind == "by label"
    )


def cells(found: Iterable[Population]) -> Mapping[tuple[Any, Any], list[Population]]:
    """Populations by prevalence and effect."""
    apart: dict[tuple[Any, Any], list[Population]] = {one: [] for one in product(PREVALENCES, EFFECTS)}
    for one in found:
        facts = float(one.y_i.mean()), mcc(one.fires_i, one.y_i)
        (own,) = [cell for cell in apart if all(low <= of < high for of, (low, high) in zip(facts, cell, strict=True))]
        apart[own].append(one)
    return {cell: some for cell, some in apart.items() if some}


def measure(found: Mapping[tuple[Any, Any], list[Population]], kind: str, n: int, options: argparse.Namespace) -> None:
    rng, start = np.random.default_rng([options.seed, n]), time.perf_counter()
    rows: list[list[tuple[bool, bool, float]]] = []
    for (prevalences, effects), some in found.items():
        rows.append([])
        for one in (some * options.samples)[: options.samples]:
            if (its := drawn(one, kind, n, options.draws, rng)) is not None:
                truth = mcc(one.fires_i, one.y_i)
                rows[-1].append((its.low > truth, its.high < truth, its.high - its.low))
        whose = f"prevalence {prevalences}, effect {effects}, {len(some)} populations"
        print(f"    {whose}: {said(np.array(rows[-1]))}", flush=True)
    every = np.concatenate([np.array(some) for some in rows])
    print(f"{kind}, samples of {n} ({time.perf_counter() - start:.0f} s): {said(every)}", flush=True)


def said(row_rx: Any) -> str:
    above, under, length = row_rx.mean(0)
    return (
        f"{1 - above - under:.1%} of {len(row_rx):,} cover, {above:.1%} lie above and {under:.1%} under, "
        f"mean length {length:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--codes", type=Path, required=True)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--classes", type=Path)
    parser.add_argument("--kinds", nargs="*", default=("all", "by label", "by value"))
    parser.add_argument("--n", type=int, nargs="*", default=(60, 100, 400))
    parser.add_argument("--samples", type=int, default=400, help="of each kind of population")
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = cells(populations(Data(options), options.codes))
    for kind in options.kinds:
        for n in options.n:
            measure(found, kind, n, options)


if __name__ == "__main__":
    main()
