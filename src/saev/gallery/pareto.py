"""Sparsity against reconstruction of several SAEs, as a picture."""

import io
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter
from PIL import Image

from saev.errors import printable

Metrics = Mapping[str, float]


def pareto_front(metrics: Mapping[str, Metrics]) -> list[str]:
    """Those that no other one beats in both L0 and FVU (lower is better), by ascending L0.

    >>> pareto_front({"a": {"l0": 8, "fvu": 0.3}, "b": {"l0": 16, "fvu": 0.2}, "c": {"l0": 16, "fvu": 0.4}})
    ['a', 'b']
    """
    front: list[str] = []
    best = float("inf")
    for name in sorted(metrics, key=lambda name: (metrics[name]["l0"], metrics[name]["fvu"])):
        if metrics[name]["fvu"] < best:
            front.append(name)
            best = metrics[name]["fvu"]
    return front


def pareto_plot(metrics: Mapping[str, Metrics]) -> bytes:
    """A PNG file: L0 (logarithmic) against FVU, coloured by the share of dead latents, the front as a line.

    Args:
        metrics: For each SAE "l0", "fvu" and "dead".
    """
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        names = list(metrics)
        l0, fvu, dead = ([metrics[name][key] for name in names] for key in ("l0", "fvu", "dead"))
        front = pareto_front(metrics)
        line = [[metrics[name][key] for name in front] for key in ("l0", "fvu")]
        axes.plot(*line, color="0.6", linewidth=1, zorder=1, label="not beaten in both")
        points = axes.scatter(l0, fvu, c=dead, cmap="viridis", vmin=0, zorder=2)
        for number, name in enumerate(names):
            place = (l0[number], fvu[number])
            label = axes.annotate(printable(name), place, xytext=(4, 4), textcoords="offset points", fontsize=6)
            label.set_parse_math(False)
        axes.set(xlabel="L0: active latents a token", ylabel="FVU: variance unexplained")
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.margins(x=0.15, y=0.1)
        axes.grid(color="0.9")
        axes.legend(frameon=False)
        figure.colorbar(points, label="dead latents, share")
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """A PNG file as RGB (h, w, 3)."""
    return np.asarray(Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB"))
