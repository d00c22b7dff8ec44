"""Latents beside their controls on real activations, and searches on shuffled labels.

    python scripts/bench/probing_real.py --shards SHARDS/NAME --masks SCENES/masks --classes SCENES/classes.txt \\
        --work DIR
    python scripts/bench/probing_real.py ... --only saes --seeds 1

`--shards` holds pictures with labels, `--masks` a mask for each (the same folders and names, .png), with the classes by
their numbers from 1: a picture has a class if enough pixels do. Without masks the recorded label is the class.

The pictures are halved as `saev probe` halves them; all is chosen on the proposal half and judged on the other.

plain: controls that know no SAE. saes: SAEs (TopK, 4,096 latents, k 32), each with its seed, are trained on the tokens
of the proposal half alone, and kept in `--work`; for each class the best latent, the best coalition and sparse probes,
also of SAEs with random weights. table: all of that, means over the classes of each seed, then the classes.

shuffled: searches (see `shuffled_labels.py`) on the codes of the first SAE, or of `--sae`, with labels that are
shuffled within the recorded label, among all pictures, and among groups of pictures of near-equal mean activation (all
of a group get the same ones).
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import csc_array
from shuffled_labels import Pictures, Search, searches, shuffled

import saev
from saev.latents.labels import Labels
from saev.nn import SparseAutoencoder
from saev.probing.controls.control import COMPARED_KS, SPARSE_KS, Control, ControlOptions, ControlTask, LabelledPictures
from saev.probing.controls.judging import Judge
from saev.probing.controls.measuring import measured_controls
from saev.probing.controls.pooled_activations import pooled_activations
from saev.probing.controls.views import Directions, centres
from saev.probing.hypotheses.coalitions import joined
from saev.probing.pictures.attributes import one_hot
from saev.probing.pictures.pooled import pooled
from saev.probing.pictures.units import Units
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection

LEAST_PIXELS = 200
N_GROUPS = 60
CHUNK = 20  # Searches of a process at a time.
BATCH_SIZE = 2048  # So that a short run has enough steps.


NOTHING = ControlOptions(
    neurons=False, n_directions=0, n_components=0, n_centres=0, linear=False, random_sae=False, sparse_ks=(),
    compared_ks=(),
)  # fmt: skip
PICTURES: dict[str, Pictures] = {}
"""Of the searches, by how labels are shuffled; forked processes share them."""
MEANS = ("mcc", "low", "high", "auroc", "average_precision")


class Data:
    """A recording, its halves and its classes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.reader: ShardReader = open_shards(options.shards)
        records, labels = self.reader.examples(), Labels.of(self.reader)
        self.units = Units.of(records)
        self.is_test_i = self.units.halves(0)
        self.label_i = labels.numbers
        self.names: Sequence[str] = labels.names
        self.y_ij = one_hot(labels.numbers, len(labels.names))
        if options.masks:
            self.names = options.classes.read_text(encoding="utf-8").split()
            paths = [(options.masks / record.path).with_suffix(".png") for record in records]
            self.y_ij = np.stack([present(path, len(self.names)) for path in paths])
        self.tasks = [self._task(j) for j in range(len(self.names))]

    def _task(self, j: int) -> ControlTask:
        return ControlTask(*(self._half(inside_i, j) for inside_i in (~self.is_test_i, self.is_test_i)))

    def _half(self, inside_i: np.ndarray, j: int) -> LabelledPictures:
        images = np.flatnonzero(inside_i)
        return LabelledPictures(images, self.y_ij[images, j] == 1, self.units.group_i[images])

    def tokens(self, images: np.ndarray) -> torch.Tensor:
        selection = TokenSelection.of([self.reader], images, "content")
        return torch.cat(list(selection.read(images))).flatten(0, 1)


def present(path: Path, n: int) -> np.ndarray:
    pixels = np.bincount(np.asarray(Image.open(path)).ravel(), minlength=n + 1)
    return (pixels[1 : n + 1] >= LEAST_PIXELS).astype(np.int8)


def sae_of(data: Data, options: argparse.Namespace, seed: int) -> SparseAutoencoder:
    """Trained on the proposal half, or read where that was done before."""
    path = options.work / f"seed{seed}-{options.tokens}"
    if not path.exists():
        start = time.perf_counter()
        x_nd = data.tokens(np.flatnonzero(~data.is_test_i))
        sae = saev.train(
            x_nd, "TopK", d_sae=4096, k=32, n_tokens=options.tokens, batch_size=BATCH_SIZE, val_share=0.0, seed=seed,
        )  # fmt: skip
        held_out_nd = data.tokens(np.flatnonzero(data.is_test_i)[:40])
        fvu = (sae(held_out_nd) - held_out_nd).square().sum() / (held_out_nd - held_out_nd.mean(0)).square().sum()
        print(
            f"seed {seed}: {len(x_nd)} tokens, {time.perf_counter() - start:.0f} s, FVU held out {fvu:.3f}", flush=True
        )
        saev.save(sae, path)
    return saev.load(path)


def coalition(task: ControlTask, pooled_il: csc_array, most: int, name: str, n_draws: int) -> Control:
    y_i = task.proposal.y_i.astype(np.int8)
    latents = joined(pooled_il[task.proposal.images], y_i, most=most, least_gain=-1.0 if most == 1 else 0.02).latents
    a_k = latents.values(pooled_il[task.test.images][:, list(latents.all)])
    note = f"any of {list(latents.any)}, unless {list(latents.unless)}"
    return Judge(task, n_draws, 0).of_values(name, a_k, latents.threshold, note)


def plain(data: Data, options: argparse.Namespace) -> None:
    """Controls that know no SAE."""
    settings = ControlOptions(random_sae=False, sparse_ks=(), n_draws=options.draws)
    keep(options.work / "plain.json", measured_controls(data.reader, data.tasks, options=settings))
    linear = replace(NOTHING, linear=True, n_draws=options.draws)
    of_cls = measured_controls(data.reader, data.tasks, tokens="cls", options=linear)
    renamed = [[replace(one, name=f"{one.name}, CLS token") for one in some] for some in of_cls]
    keep(options.work / "plain-cls.json", renamed)


def of_saes(data: Data, options: argparse.Namespace) -> None:
    """The SAEs' latents, alone and together, and those of SAEs with random weights."""
    settings = replace(NOTHING, random_sae=True, sparse_ks=SPARSE_KS, compared_ks=COMPARED_KS, n_draws=options.draws)
    for seed in options.seeds:
        sae, start = sae_of(data, options, seed), time.perf_counter()
        codes = saev.encode(sae, data.reader)
        found = measured_controls(data.reader, data.tasks, sae=sae, codes=codes, options=settings, seed=seed)
        pooled_il = pooled(codes, range(data.reader.n_examples), progress=False)
        for task, some in zip(data.tasks, found, strict=True):
            some[:] = [one for one in some if "neurons" not in one.name]
            some.append(coalition(task, pooled_il, 1, "best latent, largest value alone", options.draws))
            some.append(coalition(task, pooled_il, 5, "coalition of up to 5 latents", options.draws))
        print(f"seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)
        keep(options.work / f"saes-{seed}.json", found)


def keep(path: Path, found: Sequence[Sequence[Control]]) -> None:
    path.write_text(json.dumps([[asdict(one) for one in some] for some in found], indent=1), encoding="utf-8")


def table(data: Data, options: argparse.Namespace) -> None:
    """Means over classes, the lowest average precision first; then the classes, of the first seed."""
    prevalences = [float(np.mean(task.test.y_i)) for task in data.tasks]
    first = data.tasks[0]
    print(f"{len(first.proposal.images)} pictures choose, {len(first.test.images)} judge")
    print(f"{len(prevalences)} classes, prevalence {min(prevalences):.3f} to {max(prevalences):.3f}")
    # Of each control, for each seed, for each class: the fields of `Control`.
    found: dict[str, list[list[Any]]] = {}
    for path in sorted(options.work.glob("plain*.json")) + sorted(options.work.glob("saes-*.json")):
        for controls in zip(*json.loads(path.read_text(encoding="utf-8")), strict=True):
            found.setdefault(controls[0]["name"], []).append(list(controls))
    mean = {
        name: {key: [np.mean([one[key] for one in seed]) for seed in seeds] for key in MEANS}
        for name, seeds in found.items()
    }
    full = mean["linear probe"]["average_precision"][0]
    for name in sorted(mean, key=lambda name: np.mean(mean[name]["average_precision"])):
        own = {key: "/".join(f"{one:.2f}" for one in values) for key, values in mean[name].items()}
        share = np.mean(mean[name]["average_precision"]) / full
        print(
            f"{name:48} | MCC {own['mcc']} [{own['low']}, {own['high']}] | AUROC {own['auroc']} | "
            f"AP {own['average_precision']} | {share:.2f} of the linear probe's"
        )
    for j, (name, prevalence) in enumerate(zip(data.names, prevalences, strict=True)):
        print(f"\n{name}, prevalence {prevalence:.3f}")
        for control, seeds in found.items():
            one = seeds[0][j]
            interval_text = f"{one['mcc']:5.2f} [{one['low']:5.2f}, {one['high']:5.2f}]"
            print(f"  {control:48} MCC {interval_text} AP {one['average_precision']:.2f}  {one['note']}")


def all_shuffled(data: Data, options: argparse.Namespace) -> None:
    sae = saev.load(options.sae) if options.sae else sae_of(data, options, 0)
    codes = saev.encode(sae, data.reader)
    pooled_il = pooled(codes, range(data.reader.n_examples), progress=False)
    group_i = near_equal(data)
    test_g = np.random.default_rng(0).random(group_i.max() + 1) < 0.5
    PICTURES["within the recorded label"] = Pictures(pooled_il, data.is_test_i, stratum_i=data.label_i)
    PICTURES["among all pictures"] = Pictures(pooled_il, data.is_test_i)
    PICTURES[f"among {group_i.max() + 1} groups"] = Pictures(pooled_il, test_g[group_i], group_i=group_i)
    chunks = [(kind, data.y_ij, seed) for kind in PICTURES for seed in range(-(-options.searches // CHUNK))]
    found: dict[str, list[Search]] = {kind: [] for kind in PICTURES}
    with get_context("fork").Pool(options.processes) as pool:
        for kind, some in pool.imap_unordered(searched, chunks):
            found[kind] += some
            tell_searches(kind, found[kind])


def searched(chunk: tuple[str, NDArray[np.int8], int]) -> tuple[str, list[Search]]:
    """Some searches of one kind."""
    kind, y_ij, seed = chunk
    pictures, rng = PICTURES[kind], np.random.default_rng([7, seed])
    if pictures.group_i is not None:  # common enough to be in both halves
        y_ij = (rng.random(y_ij.shape) < 0.4).astype(np.int8)
    return kind, list(searches(pictures, [shuffled(pictures, y_ij, rng) for _ in range(CHUNK)], rng))


def tell_searches(kind: str, found: Sequence[Search]) -> None:
    """What the searches so far say."""
    n, tested = len(found), sum(one.n for one in found)
    print(
        f"labels shuffled {kind}: {n} searches, {tested} hypotheses; MCC where it was searched for "
        f"{np.mean([one.largest for one in found]):.2f}; any corrected p <= .05 in "
        f"{sum(one.significant > 0 for one in found)}, anything confirmed in "
        f"{sum(one.confirmed > 0 for one in found)}; {sum(one.covered for one in found) / tested:.1%} of the "
        "intervals hold 0, the true effect",
        flush=True,
    )


def near_equal(data: Data) -> np.ndarray:
    """Groups of pictures by their mean activations: the backgrounds recur."""
    images = np.arange(data.reader.n_examples)
    selection = TokenSelection.of([data.reader], images, "content")
    d = selection.d_model
    view = {"mean": Directions("neuron", None, d)}
    found = pooled_activations(selection, images, view, torch.device("cpu"))["mean"]
    mean_id = torch.from_numpy(found.values_is[:, 2 * d : 3 * d])
    rows_md = centres(mean_id, N_GROUPS, torch.Generator().manual_seed(0)).rows_md
    return np.unique(torch.cdist(mean_id, rows_md).argmin(1).numpy(), return_inverse=True)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--classes", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="SAEs and results are kept here")
    parser.add_argument("--only", choices=PARTS, nargs="*", default=tuple(PARTS))
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1, 2))
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--sae", type=Path, help="for the searches, instead of the first seed's")
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2, help="of the searches")
    parser.add_argument("--draws", type=int, default=2000)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    data = Data(options)
    for part, run in PARTS.items():
        if part in options.only:
            run(data, options)


PARTS = {"plain": plain, "saes": of_saes, "table": table, "shuffled": all_shuffled}

if __name__ == "__main__":
    main()
