"""What an SAE's reconstructions cost the ViT that they are spliced into.

Shape suffixes: b = images, c = images of a chunk, t = tokens of an image, p = tokens that the SAE takes, d = d_model,
s = d_sae, n = all images, e = width of the final embedding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, final

import torch
from torch import Tensor

from saev.metrics import (
    CodeStatistics,
    Monosemanticity,
    ReconstructionQuality,
    decoder_coherence,
    embedding_cosine,
    knn_agreement,
    probe_accuracies,
    probe_halves,
    recovered,
    zero_shot_accuracy,
)
from saev.splicing.attached import Attached

ORIGINAL, SPLICED, WITH_ERROR, ABLATED = "original", "spliced", "with_error", "ablated"

Row = dict[str, float | None]


@final
@dataclass(frozen=True)
class Measured:
    """What a pass over pictures gave."""

    embeddings: dict[str, Tensor]  # Final embeddings (n, e) of each of `standard_variants`, by name.
    values: dict[str, float]  # Reconstruction, codes and monosemanticity, by name.
    histogram: list[int]  # Numbers of latents by frequency.


def mean_token(inside: Attached, batches: Iterable[Tensor]) -> Tensor:
    """Mean (d,) of all tokens that the SAE takes of some images, in batches (b, 3, h, w); at least one image."""
    total_d, n = torch.zeros(inside.sae.d_in, dtype=torch.float64, device=inside.sae.mean_d.device), 0
    for images in batches:
        x_bpd = inside.activations(images)
        total_d += x_bpd.double().sum((0, 1))
        n += x_bpd.shape[0] * x_bpd.shape[1]
    return (total_d / n).float()


@torch.no_grad()
def measure(inside: Attached, batches: Iterable[Tensor], mean_d: Tensor, whole: range) -> Measured:
    """Embed images with each of the `standard_variants`, and gather what the SAE does on their tokens.

    Args:
        mean_d: Mean of the tokens that the SAE takes.
        whole: The tokens whose mean stands for an image at this layer: the CLS token, or the patches.
    """
    sae, device = inside.sae, inside.sae.mean_d.device
    quality, codes = ReconstructionQuality(sae.d_in).to(device), CodeStatistics(sae.d_sae).to(device)
    mono, mono_final = (Monosemanticity(sae.d_sae, sae.d_in).to(device) for _ in range(2))
    largest_bs: list[Tensor] = []

    def variants(x_btd: Tensor) -> dict[str, Tensor]:
        x_bpd = inside.taken(x_btd)
        x_hat, largest = [], []
        for x_cpd in inside.chunks(x_bpd):
            f_cps = sae.encode(x_cpd)
            codes.update(f_cps.flatten(0, 1))
            x_hat.append(sae.decode(f_cps))
            largest.append(f_cps.amax(1))
        largest_bs.append(torch.cat(largest))
        x_hat_bpd = torch.cat(x_hat)
        quality.update(x_bpd.flatten(0, 1), x_hat_bpd.flatten(0, 1))
        mono.update(largest_bs[-1], x_btd[:, whole.start : whole.stop].to(device, torch.float32).mean(1))
        return standard_variants(inside, x_btd, x_hat_bpd, mean_d)

    found: dict[str, list[Tensor]] = {}
    for images in batches:
        embedded = inside.variants(images, variants)
        mono_final.update(largest_bs.pop(), embedded[ORIGINAL].to(device))
        for name, embedding_be in embedded.items():
            # A copy: on a CPU it would be a view, which keeps all tokens of the batch in memory.
            found.setdefault(name, []).append(embedding_be.float().cpu().clone())
    values = quality.compute() | codes.compute() | mono.compute()
    final = mono_final.compute()
    # Which latents fired is the same.
    values |= {f"{name}_final": final[name] for name in final if name != "monosemanticity_scored"}
    embeddings = {name: torch.cat(parts) for name, parts in found.items()}
    return Measured(embeddings, {name: value.item() for name, value in values.items()}, codes.histogram())


def standard_variants(inside: Attached, x_btd: Tensor, x_hat_bpd: Tensor, mean_d: Tensor) -> dict[str, Tensor]:
    """What a reconstruction costs is seen between the first and the last of these, by name.

    Args:
        inside: Says which tokens change; all others stay as they are.
        x_btd: Output of a layer.
        x_hat_bpd: Reconstructions of the tokens that the SAE takes.
        mean_d: Mean of such tokens.

    Returns:
        The output itself; with x_hat in place of x; with x_hat + (x - x_hat), which is x but for rounding and checks
        the splicing; with the mean in place of x.
    """
    x_bpd = inside.taken(x_btd)
    return {
        ORIGINAL: x_btd,
        SPLICED: inside.with_tokens(x_btd, x_hat_bpd),
        WITH_ERROR: inside.with_tokens(x_btd, x_hat_bpd + (x_bpd - x_hat_bpd)),
        ABLATED: inside.with_tokens(x_btd, mean_d.expand_as(x_bpd)),
    }


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
        decoder_sd: The SAE's directions.
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
