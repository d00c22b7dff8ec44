"""Tells how good the SAEs of a run are, and compares those of a sweep."""

import csv
import re
from itertools import combinations
from pathlib import Path

import lightning
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from saev.callbacks.sae_exporter import METRICS_FILE, read_metrics
from saev.errors import tell
from saev.interop import load_sae
from saev.metrics import nearest_stability, stability
from saev.viz.pareto import pareto_front, pareto_plot, pixels

SEED = re.compile(r"-seed\d+")
MOST_MATCHED = 4096  # Latents; matching more takes long for each pair.


class SweepReport(lightning.Callback):
    """Prints a table of the SAEs; several are compared in ``sweep.csv``, ``sweep.png`` and TensorBoard, too.

    SAEs that differ in their seed alone also get the stability of their features: how well decoder rows of one match
    those of the others. It comes after the SAEs and their metrics were written, of which it takes those on held-out
    tokens, after `saev test` those of the test; where there are none, there is nothing to tell.
    """

    _told = ""

    @override
    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Print, after the progress bars."""
        for line in self._told.splitlines():
            tell(line)
        self._told = ""

    @override
    @rank_zero_only
    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare after `saev validate`, and where a run went on after its last step."""
        if trainer.state.fn == "validate":
            self._compare(trainer)

    @override
    @rank_zero_only
    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare all SAEs that the run directory holds by now."""
        self._compare(trainer)

    @override
    @rank_zero_only
    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tell the figures of `saev test`."""
        run_dir = Path(trainer.default_root_dir)
        self._tell(run_dir, _metrics(run_dir, "test"), [])

    def _compare(self, trainer: lightning.Trainer) -> None:
        run_dir = Path(trainer.default_root_dir)
        metrics = _metrics(run_dir, "val")
        if len(metrics) < 2:
            self._tell(run_dir, metrics, [])
            return
        for name, value in _stability(run_dir, list(metrics)).items():
            metrics[name]["stability"] = value
        front = pareto_front(metrics)
        _write_csv(run_dir / "sweep.csv", metrics, front)
        png = pareto_plot(metrics)
        (run_dir / "sweep.png").write_bytes(png)
        self._tell(run_dir, metrics, front)
        for logger in trainer.loggers[:1]:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("sweep", pixels(png), trainer.global_step, dataformats="HWC")

    def _tell(self, run_dir: Path, metrics: dict[str, dict[str, float]], front: list[str]) -> None:
        if metrics:
            self._told = f"{table(metrics, front)}\nall figures: {run_dir / 'saes'}/*/{METRICS_FILE}\n"


def table(metrics: dict[str, dict[str, float]], front: list[str]) -> str:
    """The SAEs by L0; those on the front, if there is one, are marked."""
    width = max(len(name) for name in metrics)
    has_stability = any("stability" in one for one in metrics.values())
    lines = [f"  {'':{width}}  {'L0':>8}  {'FVU':>8}  {'dead':>6}{'  stability' if has_stability else ''}"]
    for name in _sorted(metrics):
        one, mark = metrics[name], "*" if name in front else " "
        fvu = "-" if one["fvu"] is None else f"{one['fvu']:.4f}"  # undefined where all tokens are the same
        stable = f"{one['stability']:11.3f}" if "stability" in one else f"{'-':>11}" if has_stability else ""
        lines.append(f"{mark} {name:{width}}  {one['l0']:8.2f}  {fvu:>8}  {one['dead']:6.1%}{stable}")
    if front:
        lines.append("* Pareto-optimal: no other one is better in both L0 and FVU")
    return "\n".join(lines)


def _metrics(run_dir: Path, stage: str) -> dict[str, dict[str, float]]:
    found = {}
    for path in sorted(run_dir.glob(f"saes/*/{METRICS_FILE}")):
        metrics = read_metrics(path)
        if stage in metrics:
            found[path.parent.name] = metrics[stage]
    return found


def _stability(run_dir: Path, names: list[str]) -> dict[str, float]:
    """For each SAE the mean agreement with those that differ in their seed alone; nothing where there are none."""
    found: dict[str, list[float]] = {}
    for one, other in combinations(names, 2):
        if SEED.sub("", one) == SEED.sub("", other):
            w_rd, w_td = (load_sae(run_dir / "saes" / name).W_dec for name in (one, other))
            is_large = max(len(w_rd), len(w_td)) > MOST_MATCHED
            value = nearest_stability(w_rd, w_td) if is_large else stability(w_rd, w_td).matched
            for name in (one, other):
                found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _sorted(metrics: dict[str, dict[str, float]]) -> list[str]:
    return sorted(metrics, key=lambda name: (metrics[name]["l0"], metrics[name]["fvu"]))


def _write_csv(path: Path, metrics: dict[str, dict[str, float]], front: list[str]) -> None:
    keys = list(dict.fromkeys(key for one in metrics.values() for key, value in one.items() if _is_number(value)))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", *keys, "on_front"])
        for name in _sorted(metrics):
            writer.writerow([name, *(metrics[name].get(key) for key in keys), int(name in front)])


def _is_number(value: object) -> bool:
    return isinstance(value, float | int)
