"""How near thresholds that no label chose come to those that labels choose, of real latents and real labels.

    python scripts/bench/thresholds.py --shards SHARDS/NAME --codes CODES

The pictures are halved at random several times. For each class, and each group of classes (by the first word of their
names), the latents that agree best with it on one half get their thresholds there, by each rule. What is printed is the
mean MCC with the labels of the other half, and the share of the first half on which they fire: 10 %, 50 % and 90 %
quantiles over the latents.
"""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from coverage import attributes
from probing_real import Data

from saev.latents.codes import open_codes
from saev.probing.hypotheses.thresholds import unlabelled_threshold
from saev.probing.pictures.pooled import pooled
from saev.probing.statistics.all_latents import latent_scores
from saev.probing.statistics.arrays import Bools, Floats
from saev.probing.statistics.scores import mcc

N_LATENTS = 4
RULES: Mapping[str, Callable[[Floats], float]] = {
    "unlabelled_threshold": unlabelled_threshold,
    "median of positive values": lambda values_i: float(np.median(values_i[values_i > 0])),
    "90 % quantile of positive values": lambda values_i: float(np.quantile(values_i[values_i > 0], 0.9)),
    "half of their 99 % quantile": lambda values_i: float(np.quantile(values_i[values_i > 0], 0.99)) / 2,
    "half of the largest value": lambda values_i: float(values_i.max()) / 2,
    **{f"top {share} %": lambda values_i, share=share: float(np.quantile(values_i, 1 - share / 100))  # type: ignore[misc]
       for share in (2, 3, 5, 10)},
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--codes", type=Path, required=True)
    parser.add_argument("--halvings", type=int, default=6)
    options = parser.parse_args()
    options.masks = None
    data = Data(options)
    x_il = pooled(open_codes(options.codes), range(data.reader.n_examples), progress=False)
    found = {name: of for name, of in attributes(data).items() if name != "every second class"}
    for what in ("classes", "groups of classes"):
        own = [y_i for name, y_i in found.items() if name.endswith(", any") == (what != "classes")]
        rows: dict[str, list[tuple[float, float]]] = {}
        for seed in range(options.halvings):
            is_test_i = np.random.default_rng(seed).random(x_il.shape[0]) < 0.5
            scores = latent_scores(x_il[~is_test_i], np.stack(own, 1)[~is_test_i].astype(np.int8))
            for j, y_i in enumerate(own):
                for latent in np.argsort(-scores.mcc[:, j])[:N_LATENTS]:
                    a_i = x_il[:, [latent]].toarray()[:, 0].astype(np.float64)
                    chosen = {name: rule(a_i[~is_test_i]) for name, rule in RULES.items()}
                    chosen["chosen by labels"] = float(scores.threshold[latent, j])
                    _note(rows, chosen, a_i, y_i, is_test_i)
        for name, each in sorted(rows.items(), key=lambda row: -np.mean(row[1], 0)[0]):
            shares = ", ".join(f"{100 * one:.1f}" for one in np.quantile([share for _, share in each], (0.1, 0.5, 0.9)))
            print(f"{what}: {name}: MCC {np.mean(each, 0)[0]:.3f}, fires on {shares} % ({len(each)} latents)")


def _note(
    rows: dict[str, list[tuple[float, float]]], chosen: Mapping[str, float], a_i: Floats, y_i: Bools, is_test_i: Bools
) -> None:
    for name, threshold in chosen.items():
        fires_i = a_i > threshold
        rows.setdefault(name, []).append((mcc(fires_i[is_test_i], y_i[is_test_i]), float(fires_i[~is_test_i].mean())))


if __name__ == "__main__":
    main()
