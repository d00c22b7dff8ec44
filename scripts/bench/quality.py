"""Quality of SAEs beside other libraries, all trained on the same tokens in the same order.

    python scripts/bench/quality.py synthetic --peers DIR
    python scripts/bench/quality.py real --shards LAYER10 LAYER6 --peers DIR --only topk,batchtopk,matryoshka

DIR has a virtual environment for each library, see `peers/__init__.py`. Ours runs with its default recipe, the others
with their recommended settings (setting 0). Those are meant for longer runs: with `--tuned` each library is also run
with the settings in TUNED, learning rates near 3e-3 among them, and the best is reported; ours is not. Results are
appended to `--results` as lines of JSON, and what is there already is not run again.

synthetic: sparse sums of 512 known directions of width 128, see `synthetic.py`, noise such that the true
directions with the 8 largest coefficients leave .070 of the variance; 1024 latents, k 8, 1500 steps of 1024 tokens
that are all new. `cosine` is the mean over true directions of the largest cosine with a decoder row.

real: patches that `saev predict` recorded from pictures with labels, DINOv2 ViT-S/14 in docs/measurements.md.
Pictures of every fifth label, from the third on, are held out. 4096 latents, k 32, 300 steps of 4096 tokens.

`dead` latents never fire on the held-out tokens, `dead_train` on the first 131,072 training tokens. For relu, jumprelu
and gated the penalty is searched until L0 is near k, and all is interpolated over log L0 between the two runs around
k.
"""

import argparse
import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from peers.trainer import DENSE, Options
from side_by_side import LIBRARIES, Job, Worker, add_common, names
from synthetic import SparseDictionary

from saev.shards.reading.open import open_shards
from saev.shards.tokens import TokenSelection

Found = dict[str, float]
FIRST_COEFF = {"ours": 1.0, "sae_lens": 5.0, "dictionary_learning": 0.1, "overcomplete": 0.1, "original_saev": 4e-4}
TUNED: dict[str, list[dict[str, Any]]] = {
    "sparsify": [{"lr_factor": 0.1}, {"optimizer": "adam", "lr_factor": 8.0}],
    "sae_lens": [{"lr_factor": 10.0}],
    "dictionary_learning": [{"lr_factor": 8.0}],
    "overcomplete": [{"lr_factor": 6.0}],
    "original_saev": [{"lr_factor": 8.0}],
}
NEAR = 0.03  # Relative distance of L0 to k that ends the search.


@dataclass(frozen=True)
class Data:
    """Files of tokens and true directions, and the training that goes with them."""

    name: str
    train: str
    test: str
    base: Options
    directions: str = ""


def synthetic_data(options: argparse.Namespace, folder: Path) -> Iterator[Data]:
    """One dictionary a seed."""
    for seed in options.seeds:
        base = Options("", 128, 1024, 8, options.n_steps or 1500, 1024, seed)
        source = SparseDictionary(512, 128, n_active=8, noise=0.024, exponent=0.7, seed=seed)
        print(f"seed {seed}: the true directions with the 8 largest coefficients: FVU {source.best_fvu(8):.3f}")
        files = {name: str(folder / f"{name}.npy") for name in ("train", "test", "directions")}
        np.save(files["train"], source.tokens(base.n_steps * base.batch_size, stream=1))
        np.save(files["test"], source.tokens(65_536, stream=2))
        np.save(files["directions"], source.directions())
        yield Data("synthetic", base=base, **files)


def real_data(options: argparse.Namespace, folder: Path) -> Iterator[Data]:
    """Each recording, with every seed."""
    for directory in options.shards:
        reader = open_shards(directory)
        labels = np.array([example.label for example in reader.examples()])
        held_out = np.isin(labels, np.unique(labels)[2::5])
        files = {name: str(folder / f"{name}.npy") for name in ("train", "test")}
        for file, chosen in zip(files.values(), (~held_out, held_out), strict=True):
            selection = TokenSelection.of([reader], np.flatnonzero(chosen), "content")
            np.save(file, np.concatenate([x.flatten(0, 1).numpy() for x in selection.read(selection.examples)]))
        width = np.load(files["train"], mmap_mode="r").shape[1]
        for seed in options.seeds:
            yield Data(directory.name, base=Options("", width, 4096, 32, options.n_steps or 300, 4096, seed), **files)


class Results:
    """Runs that were done, in a file that later calls go on with."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._found: dict[str, Found] = {line["run"]: line["found"] for line in map(json.loads, lines)}

    def get(self, run: str, make: Callable[[], Found]) -> Found:
        """What this run gave, now or earlier."""
        if run not in self._found:
            self._found[run] = make()
            with self._path.open("a") as file:
                print(json.dumps({"run": run, "found": self._found[run]}), file=file)
        return self._found[run]


class Bench:
    """One library on one data set."""

    def __init__(self, library: str, data: Data, options: argparse.Namespace, results: Results) -> None:
        self.library, self.data, self.options, self.results = library, data, options, results

    def train(self, made: Options) -> Found:
        """Train once and measure."""
        data, options = self.data, self.options
        run = json.dumps({"library": self.library, "data": data.name, **asdict(made)})
        job = Job("quality", data.train, options.threads, made, data.test, data.directions)

        def make() -> Found:
            worker = Worker(self.library, options.peers, job, options.log)
            worker.close()
            return worker.first

        return self.results.get(run, make)

    def matched(self, made: Options) -> Found:
        """Search the coefficient that gives an L0 of k, then interpolate."""
        runs: dict[float, Found] = {}
        coeff = FIRST_COEFF.get(self.library, 1.0)
        for _ in range(self.options.most_runs):
            runs[coeff] = self.train(replace(made, coeff=coeff))
            if abs(math.log(max(runs[coeff]["l0"], 1e-3) / made.k)) < NEAR:
                return runs[coeff]
            coeff = next_coeff(runs, made.k)
        return interpolated(list(runs.values()), made.k)

    def best(self, architecture: str) -> Found:
        """The lowest FVU over the settings that are tried."""
        made = replace(self.data.base, architecture=architecture, encoder=self.options.encoder)
        run = self.matched if architecture in DENSE else self.train
        tried: list[dict[str, Any]] = [{}, *(TUNED.get(self.library, []) if self.options.tuned else [])]
        found = [run(replace(made, **settings)) | {"setting": number} for number, settings in enumerate(tried)]
        return min(found, key=lambda one: (math.isnan(one["fvu"]), one["fvu"]))


def next_coeff(runs: dict[float, Found], k: int) -> float:
    """Where log L0 over the log of the coefficient is expected to cross log k; beyond what was tried by factors."""
    logs = sorted((math.log(coeff), math.log(max(found["l0"], 1e-3) / k)) for coeff, found in runs.items())
    denser, sparser = [p for p in logs if p[1] > 0], [p for p in logs if p[1] <= 0]
    if not sparser:
        return math.exp(denser[-1][0] + min(max(denser[-1][1], 0.7), 3.0))
    if not denser:
        return math.exp(sparser[0][0] - min(max(-sparser[0][1], 0.7), 3.0))
    (a, y), (b, z) = denser[-1], sparser[0]
    share = min(max(y / (y - z), 0.1), 0.9)
    return math.exp(a + share * (b - a))


def interpolated(runs: list[Found], k: int) -> Found:
    """Linear in log L0 between the runs around k; FVU is nan where there are none on one side."""
    above = min((found for found in runs if found["l0"] > k), key=lambda found: found["l0"], default=None)
    below = max((found for found in runs if 0 < found["l0"] <= k), key=lambda found: found["l0"], default=None)
    if above is None or below is None:
        return min(runs, key=lambda found: abs(math.log(max(found["l0"], 1e-3) / k))) | {"fvu": math.nan}
    share = math.log(above["l0"] / k) / math.log(above["l0"] / below["l0"])
    return {key: above[key] + share * (below[key] - above[key]) for key in above}


def line(found: list[Found]) -> str:
    """Mean and, for FVU, the values of the seeds."""
    mean = {key: statistics.fmean(one[key] for one in found) for key in found[0]}
    seeds = ", ".join(f"{one['fvu']:.4f}" for one in found)
    parts = [f"FVU {mean['fvu']:.4f} ({seeds})", f"L0 {mean['l0']:.1f}"]
    parts += [f"{key} {mean[key]:.3f}" for key in ("dead", "dead_train", "cosine") if key in mean]
    return " | ".join([*parts, f"{mean['seconds']:.0f} s", f"setting {mean['setting']:g}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["synthetic", "real"])
    add_common(parser)
    parser.add_argument("--shards", type=Path, nargs="*", default=[])
    parser.add_argument("--only", type=names, default=["topk"], help="architectures")
    parser.add_argument("--libraries", type=names, default=["ours", *LIBRARIES])
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--n_steps", type=int, help="of the run")
    parser.add_argument("--encoder", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--tuned", action="store_true", help="also try TUNED settings of the libraries")
    parser.add_argument("--most_runs", type=int, default=6, help="trainings of a search for L0 = k")
    parser.add_argument("--results", type=Path, required=True)
    options = parser.parse_args()
    results, table = Results(options.results), dict[tuple[str, str, str], list[Found]]()
    with tempfile.TemporaryDirectory() as folder:
        make = {"synthetic": synthetic_data, "real": real_data}[options.what]
        for data in make(options, Path(folder)):
            for architecture, library in product(options.only, options.libraries):
                try:
                    found = Bench(library, data, options, results).best(architecture)
                except (LookupError, RuntimeError) as reason:
                    print(f"{data.name} {architecture} {library} left out: {reason}", flush=True)
                    continue
                table.setdefault((data.name, architecture, library), []).append(found)
                print(f"seed {data.base.seed} {architecture} {library}: {line([found])}", flush=True)
    for key, runs in table.items():
        print(" | ".join([*key, line(runs)]))


if __name__ == "__main__":
    main()
