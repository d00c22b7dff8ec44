"""The figures of `saev downstream`, as JSON and as a table."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from torch import Tensor

from saev.errors import printable
from saev.metrics import (
    decoder_coherence,
    embedding_cosine,
    knn_agreement,
    probe_accuracies,
    probe_halves,
    recovered,
    zero_shot_accuracy,
)
from saev.splicing.downstream import ABLATED, ORIGINAL, SPLICED, WITH_ERROR, Measured

COLUMNS = (ORIGINAL, WITH_ERROR, SPLICED, ABLATED, "recovered")

Row = dict[str, float | None]


def figures(
    found: Measured,
    labels: Sequence[str | None],
    decoder_sd: Tensor,
    n_neighbours: int,
    seed: int,
    zero_shot: tuple[Sequence[str], Tensor] | None = None,
) -> dict[str, Any]:
    """All figures as plain JSON.

    Args:
        found: What the pass over the pictures gave.
        labels: Classes of the pictures.
        decoder_sd: The SAE's directions.
        n_neighbours: Nearest neighbours that are compared.
        seed: Fixes the halves of the probe.
        zero_shot: Names of classes, and the direction of each, where zero-shot accuracy is asked for.
    """
    original = found.embeddings[ORIGINAL]
    rounding = (found.embeddings[WITH_ERROR] - original).norm(dim=-1) / original.norm(dim=-1)
    probe, halves = _probe(found, labels, seed)
    rows = {
        "cosine": _row({name: embedding_cosine(original, after) for name, after in found.embeddings.items()}),
        "knn_agreement": _row(
            {name: knn_agreement(original, after, n_neighbours) for name, after in found.embeddings.items()}
        ),
        "probe_accuracy": probe,
    }
    if zero_shot is not None:
        classes, rows_ce = zero_shot
        rows["zero_shot_accuracy"] = _row(
            {name: zero_shot_accuracy(after, rows_ce, classes, labels) for name, after in found.embeddings.items()}
        )
    coherence = {f"decoder_coherence_{name}": v for name, v in decoder_coherence(decoder_sd)._asdict().items()}
    return {
        "n_neighbours": n_neighbours,
        **halves,
        "rounding": rounding.max().item(),
        "downstream": rows,
        # JSON has no NaN, which the monosemanticity is where it has no latent to score.
        "sae_values": {name: value if isfinite(value) else None for name, value in (found.values | coherence).items()},
        "frequency_histogram": found.histogram,
    }


def _probe(found: Measured, labels: Sequence[str | None], seed: int) -> tuple[Row | None, dict[str, int]]:
    train, test = probe_halves(labels, seed)
    if not train:
        return None, {}
    train_labels, test_labels = ([str(labels[image]) for image in half] for half in (train, test))
    tested = [embeddings_ne[test] for embeddings_ne in found.embeddings.values()]
    accuracies = probe_accuracies(found.embeddings[ORIGINAL][train], train_labels, tested, test_labels)
    halves = {"n_classes": len(set(test_labels)), "n_probe_train": len(train), "n_probe_test": len(test)}
    return _row(dict(zip(found.embeddings, accuracies, strict=True))), halves


def _row(values: dict[str, float]) -> Row:
    return {**values, "recovered": recovered(values[ORIGINAL], values[SPLICED], values[ABLATED])}


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    what = f"{report['model']}, layer {report['layer']}, {report['tokens']} tokens, {report['n_images']} images"
    lines = [printable(f"{report['sae']} in {what}"), "", _line("final embedding", COLUMNS)]
    for name, row in report["downstream"].items():
        if row is not None:
            lines.append(_line(name, [_number(row[column]) for column in COLUMNS]))
    if report["downstream"]["probe_accuracy"] is not None:
        lines.append(
            f"the probe learned from {report['n_probe_train']} images and is tested on {report['n_probe_test']}"
        )
    else:
        lines.append("no probe_accuracy: it needs two folders (classes) of two images or more")
    lines += ["", "tokens and images"]
    return "\n".join([*lines, *(_line(name, [_number(value)]) for name, value in report["sae_values"].items())])


def _line(name: str, cells: Sequence[str]) -> str:
    return f"{name:<32}" + "".join(f"{cell:>12}" for cell in cells)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
