"""`saev downstream`: what an SAE's reconstructions cost the ViT that they are spliced into."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from saev.cli.parse_errors import readable
from saev.errors import InputError, printable

if TYPE_CHECKING:
    from saev.cli.downstream_pass import Measured

MOST_IMAGES_FOR_MEAN = 256
COLUMNS = ("original", "with_error", "spliced", "ablated", "recovered")


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="saev downstream",
        description="Put an SAE's reconstructions in place of the activations inside the running ViT, and measure what "
        "becomes of its final embedding: cosine to the original, agreement of nearest neighbours, accuracy of a linear "
        "probe; beside it what replacing the activations by their mean costs. docs/metrics.md defines the figures. Take "
        "images that the SAE was not trained on.",
        exit_on_error=False,
    )
    parser.add_argument("--sae", type=Path, required=True, help="directory of an SAE: RUN/saes/NAME")
    parser.add_argument(
        "--images", type=Path, required=True, help="folder of pictures; the first folder level is the class"
    )
    parser.add_argument("--n_images", type=int, default=2000, help="upper bound of the images, a random choice")
    parser.add_argument("--batch_size", type=int, default=32, help="images of a forward pass")
    parser.add_argument(
        "--weights",
        type=str | None,
        default=None,
        help="the ViT's weights as `saev predict` took them: a .safetensors or .pt file, or random; by default they come "
        "from the network",
    )
    parser.add_argument("--k", type=int, default=10, help="nearest neighbours that are compared")
    parser.add_argument("--num_workers", type=int, default=2, help="processes that decode; 0 decodes in the main one")
    parser.add_argument(
        "--device", type=str | None, default=None, help="cpu, cuda, ...; by default a GPU if there is one"
    )
    parser.add_argument("--seed", type=int, default=0, help="fixes the choice of images and the probe's halves")
    parser.add_argument("--out", type=Path, required=True, help="JSON file for all figures")
    return parser


def main(argv: list[str]) -> int:
    """Run `saev downstream ARGV` and return the exit status.

    Raises:
        InputError: If the SAE, the ViT or the pictures cannot be had, or do not belong together.
        SystemExit: For `--help` (0).
    """
    parser = _parser()
    try:
        options = parser.parse_args(argv)
    except ArgumentError as error:
        raise InputError(readable(error, parser)) from error
    _check(options)
    report = evaluate(options)
    try:
        options.out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {options.out} cannot be written: {error}") from error
    print(table(report))
    return 0


def _check(options: Namespace) -> None:
    if min(options.n_images, options.batch_size, options.k) < 1 or options.num_workers < 0:
        raise InputError("--n_images, --batch_size and --k must be 1 or more, --num_workers 0 or more")
    if not options.out.absolute().parent.is_dir():
        raise InputError(f"--out {options.out}: there is no directory {options.out.absolute().parent}")


def evaluate(options: Namespace) -> dict[str, Any]:
    """All figures, as plain JSON.

    Raises:
        InputError: If the SAE, the ViT or the pictures cannot be had, or do not belong together.
    """
    # Here and not above: the help answers without torch.
    import torch

    from saev.cli.downstream_pass import Pictures, SplicedPass
    from saev.interop import load_sae, read_about
    from saev.interop.recorded_backbone import load_recorded_backbone
    from saev.shards.loading.selection import random_subset
    from saev.vit.images import ImageFolder

    sae, about = load_sae(options.sae), read_about(options.sae)
    source = ImageFolder(options.images)
    chosen = random_subset(len(source), options.n_images, options.seed)
    if len(chosen) <= options.k:
        raise InputError(f"{options.images} gives {len(chosen)} images: more than --k {options.k} are needed")
    backbone = load_recorded_backbone(about, options.weights)
    device = _device(torch, options.device)
    spliced = SplicedPass(sae, about, backbone, device)
    pictures = Pictures(source, backbone, options.batch_size, options.num_workers)
    few = chosen[random_subset(len(chosen), MOST_IMAGES_FOR_MEAN, options.seed)]
    mean_d = spliced.mean(pictures.batches(few.tolist(), "mean"))
    found = spliced.measure(pictures.batches(chosen.tolist(), "downstream"), mean_d)
    facts = {
        "sae": str(options.sae),
        "model": f"{backbone.family} {backbone.ckpt}",
        "layer": spliced.layer,
        "tokens": about.tokens,
        "images": str(options.images),
        "n_images": len(chosen),
    }
    labels = [source.record(index).label for index in chosen.tolist()]
    return facts | _figures(found, labels, options) | _dictionary(sae.W_dec)


def _device(torch: Any, name: str | None) -> Any:
    try:
        return torch.zeros((), device=name or ("cuda" if torch.cuda.is_available() else "cpu")).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"--device {name} cannot be used: {' '.join(str(error).split())[:160]}") from error


def _figures(found: "Measured", labels: list[str | None], options: Namespace) -> dict[str, Any]:
    from saev.metrics import embedding_cosine, knn_agreement

    original = found.embeddings["original"]
    cosine = {name: embedding_cosine(original, after) for name, after in found.embeddings.items()}
    knn = {name: knn_agreement(original, after, options.k) for name, after in found.embeddings.items()}
    difference = (found.embeddings["with_error"] - original).norm(dim=-1) / original.norm(dim=-1)
    probe, facts = _probe(found, labels, options.seed)
    return {
        "rounding": difference.max().item(),
        "k": options.k,
        **facts,
        "downstream": {"cosine": _row(cosine), "knn_agreement": _row(knn), "probe_accuracy": probe},
        "sae_values": {name: _finite(value) for name, value in found.values.items()},
        "frequency_histogram": found.histogram,
    }


def _probe(
    found: "Measured", labels: list[str | None], seed: int
) -> tuple[dict[str, float | None] | None, dict[str, int]]:
    from saev.metrics import probe_accuracies, probe_halves

    train, test = probe_halves(labels, seed)
    if not train:
        return None, {}
    train_labels, test_labels = ([str(labels[image]) for image in half] for half in (train, test))
    tested = [embeddings[test] for embeddings in found.embeddings.values()]
    accuracies = probe_accuracies(found.embeddings["original"][train], train_labels, tested, test_labels)
    facts = {"n_classes": len(set(test_labels)), "n_probe_train": len(train), "n_probe_test": len(test)}
    return _row(dict(zip(found.embeddings, accuracies, strict=True))), facts


def _row(values: dict[str, float]) -> dict[str, float | None]:
    from saev.metrics import recovered

    return {**values, "recovered": recovered(values["original"], values["spliced"], values["ablated"])}


def _dictionary(w_sd: Any) -> dict[str, Any]:
    from saev.metrics import decoder_coherence

    return {"decoder_coherence": decoder_coherence(w_sd)._asdict()}


def _finite(value: float) -> float | None:
    # JSON has no NaN: a monosemanticity without latents to score.
    return value if abs(value) < float("inf") else None


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    head = f"{report['model']}, layer {report['layer']}, {report['tokens']} tokens, {report['n_images']} images"
    lines = [printable(f"{report['sae']} in {head}"), "", _line("final embedding", COLUMNS)]
    for name, row in report["downstream"].items():
        if row is not None:
            lines.append(_line(name, [_number(row[column]) for column in COLUMNS]))
    if report["downstream"]["probe_accuracy"] is None:
        lines.append("no probe_accuracy: it needs two folders (classes) of two images or more")
    lines += ["", *(f"{name:<26}{_number(value):>12}" for name, value in report["sae_values"].items())]
    for name, value in report["decoder_coherence"].items():
        lines.append(f"{'decoder_coherence_' + name:<26}{_number(value):>12}")
    return "\n".join(lines)


def _line(name: str, cells: Any) -> str:
    return f"{name:<26}" + "".join(f"{cell:>12}" for cell in cells)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
