"""Prints how good the SAEs of a run are, and compares those of a sweep."""

import csv
import io
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.artifacts import RunDirectory, differ_in_seed, provenance_of
from saev.artifacts.metrics_file import Figures, finite
from saev.callbacks.noted_faults import NotesFaults
from saev.callbacks.trained_model import TrainedModel
from saev.errors import InputError, tell
from saev.files import read_regular_text, write_whole
from saev.gallery.pareto import pareto_front, pareto_plot, pixels
from saev.metrics import nearest_stability, own_figures, stability
from saev.nn import SparseAutoencoder

AllFigures = dict[str, Figures]
"""By the name of the SAE."""
UNCOMPARED = "the SAEs cannot be compared (saev validate tries again)"
MAX_MATCHED = 4096  # Latents; matching more takes long for each pair.
MAX_TABLE_BYTES = 2**26
MIN_COLUMN = 8  # Characters.
_TOKENS = {"val": "on held-out tokens", "test": "on test tokens"}


class SweepReport(NotesFaults):
    """Prints a table of the SAEs; several are compared in ``sweep.csv``, ``sweep.png`` and TensorBoard, too.

    SAEs that differ in their seed alone also get the stability of their features: how well decoder rows of one match
    those of the others. It takes the metrics of held-out tokens, after `saev test` those of the test; without such it
    prints nothing.

    Args:
        write: Write files, too.
    """

    def __init__(self, *, write: bool = True) -> None:
        super().__init__()
        self._write = write
        self._told = ""

    @override
    def teardown(self, *args: Any, **kwargs: Any) -> None:
        """Print, after the progress bars."""
        self._print()

    @override
    def on_exception(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *args: Any) -> None:
        """Print what an evaluation found before its results could not be written."""
        is_test = trainer.state.fn == "test"
        found = _measured(pl_module, "test" if is_test else "val") if is_test or trainer.state.fn == "validate" else {}
        if found and not self._told and trainer.is_global_zero:
            self._told = f"{table(found, [], 'test' if is_test else 'val')}\n"
        self._print()

    def _print(self) -> None:
        for line in self._told.splitlines():
            tell(line)
        self._told = ""

    @override
    @rank_zero_only
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare after `saev validate`, and where a run went on after its last step."""
        if trainer.state.fn == "validate":
            with self.noting(UNCOMPARED):
                self._compare(trainer, pl_module)

    @override
    @rank_zero_only
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare the SAEs that were trained."""
        with self.noting(UNCOMPARED):
            cast(TrainedModel, pl_module).keep_outcomes()
            self._compare(trainer, pl_module)

    @override
    @rank_zero_only
    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Print the metrics of `saev test`."""
        out = RunDirectory(Path(trainer.default_root_dir))
        self._tell(out, _measured(pl_module, "test"), [], "test")

    def _compare(self, trainer: lightning.Trainer, model: lightning.LightningModule) -> None:
        out = RunDirectory(Path(trainer.default_root_dir))
        figures = _measured(model, "val")
        if len(figures) < 2:
            self._tell(out, figures, [])
            return
        saes = {name: cast(TrainedModel, model).saes[name] for name in figures}
        for name, value in {**_kept_stability(out.comparison, saes), **_stability(saes)}.items():
            figures[name]["stability"] = value
        front = pareto_front(figures)
        self._tell(out, figures, front)
        if self._write:
            self._write_files(out, trainer, figures, front)

    def _write_files(
        self, out: RunDirectory, trainer: lightning.Trainer, figures: AllFigures, front: list[str]
    ) -> None:
        png = pareto_plot(figures)
        write_whole(out.comparison, _csv(figures, front).encode())
        write_whole(out.comparison.with_suffix(".png"), png)
        for logger in trainer.loggers[:1]:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("sweep", pixels(png), trainer.global_step, dataformats="HWC")

    def _tell(self, out: RunDirectory, figures: AllFigures, front: list[str], stage: str = "val") -> None:
        where = f"all figures: {out.metrics('*')}\n" if self._write else ""
        if figures:
            self._told = f"{table(figures, front, stage)}\n{where}"


def table(metrics: AllFigures, front: list[str], stage: str) -> str:
    """The SAEs by L0, on the tokens of a stage; those on the front, if there is one, are marked."""
    what = _TOKENS[stage]
    width = max(len(name) for name in (what, *metrics))
    has_stability = any("stability" in one for one in metrics.values())
    own = [name for name in own_figures() if any(name in one for one in metrics.values())]
    heads = "".join(f"  {head:>{MIN_COLUMN}}" for head in own)
    lines = [f"  {what:{width}}  {'L0':>8}  {'FVU':>8}  {'dead':>6}{'  stability' if has_stability else ''}{heads}"]
    for name in _sorted(metrics):
        one, mark = metrics[name], "*" if name in front else " "
        fvu = "-" if one["fvu"] is None else f"{one['fvu']:.4f}" if one["fvu"] < 1000 else f"{one['fvu']:.2g}"
        ending = "  diverged" if one.get("diverged") else ""
        stable = f"{one['stability']:11.3f}" if "stability" in one else f"{'-':>11}" if has_stability else ""
        more = "".join(f"  {_short(one.get(head)):>{max(MIN_COLUMN, len(head))}}" for head in own)
        lines.append(f"{mark} {name:{width}}  {one['l0']:8.2f}  {fvu:>8}  {one['dead']:6.1%}{stable}{more}{ending}")
    if front:
        lines.append("* Pareto-optimal: no other one is better in both L0 and FVU")
    return "\n".join(lines)


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _measured(model: lightning.LightningModule, stage: str) -> AllFigures:
    """The figures of a stage, and whether training did harm, where that is known; none of SAEs that were given up."""
    saes, results = cast(TrainedModel, model).saes, cast(TrainedModel, model).results
    return {
        name: finite(stages[stage])
        | {key: int(bool(value)) for key, value in stages.get("train", {}).items() if key == "diverged"}
        for name, stages in results.items()
        if name in saes and stage in stages
    }


def _stability(saes: Mapping[str, SparseAutoencoder]) -> dict[str, float]:
    """For each SAE the mean agreement with those that differ in their seed alone; nothing where there are none."""
    found: dict[str, list[float]] = {}
    for (one, first), (other, second) in combinations(saes.items(), 2):
        if differ_in_seed(first, second):
            w_rd, w_td = first.W_dec.detach().cpu(), second.W_dec.detach().cpu()
            is_large = max(len(w_rd), len(w_td)) > MAX_MATCHED
            value = nearest_stability(w_rd, w_td) if is_large else stability(w_rd, w_td).matched
            for name in (one, other):
                found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _kept_stability(path: Path, saes: Mapping[str, SparseAutoencoder]) -> dict[str, float]:
    """What an earlier table says of SAEs whose config.json, an old one, does not say how they were trained."""
    unknown = {name for name, sae in saes.items() if not provenance_of(sae).training}
    try:
        rows = csv.DictReader(io.StringIO(read_regular_text(path, MAX_TABLE_BYTES)))
        return {row["name"]: float(row["stability"]) for row in rows if row["name"] in unknown and row.get("stability")}
    except (InputError, KeyError, ValueError, TypeError, csv.Error):  # no table, or an edited one
        return {}


def _sorted(metrics: AllFigures) -> list[str]:
    return sorted(metrics, key=lambda name: (metrics[name]["l0"], metrics[name]["fvu"]))


def _csv(metrics: AllFigures, front: list[str]) -> str:
    keys = list(dict.fromkeys(key for one in metrics.values() for key, value in one.items() if _is_number(value)))
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["name", *keys, "on_front"])
    for name in _sorted(metrics):
        writer.writerow([name, *(metrics[name].get(key) for key in keys), int(name in front)])
    return file.getvalue()


def _is_number(value: object) -> bool:
    return isinstance(value, float | int)
