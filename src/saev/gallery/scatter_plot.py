"""Frequencies and values of all latents as a picture, for TensorBoard."""

import io

import numpy as np

from saev.gallery.data import Floats


def scatter_plot(frequency_s: Floats, mean_value_s: Floats, title: str) -> bytes:
    """A PNG of mean value against frequency, both on logarithmic axes; dead latents are counted in its title."""
    # Here and not above: matplotlib takes a second to import.
    from matplotlib.figure import Figure

    alive = np.asarray(frequency_s) > 0
    figure = Figure(figsize=(7, 5))
    figure.subplots_adjust(0.125, 0.11, 0.97, 0.93)  # A layout that finds these by itself draws all of it twice.
    axes = figure.subplots()
    axes.scatter(frequency_s[alive], mean_value_s[alive], s=6, alpha=0.4, linewidths=0)
    if alive.any():
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlabel("frequency (share of tokens)")
    axes.set_ylabel("mean value when active")
    axes.set_title(f"{title}: {alive.sum():,} latents, and {(~alive).sum():,} dead")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
