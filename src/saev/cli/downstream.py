"""`saev downstream`: what an SAE's reconstructions cost the ViT that they are spliced into."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from saev.cli.parsing import typed
from saev.cli.parsing.picture_source import source_options
from saev.errors import InputError, printable
from saev.files import check_writable, write_whole
from saev.shards.format.layout import TokenKind
from saev.splicing.given_facts import NOTHING_GIVEN, GivenVit

COLUMNS: Final = ("original", "with_error", "spliced", "ablated", "recovered")


def downstream(
    *,
    sae: Path,
    shards: Path | None = None,
    model: GivenVit = NOTHING_GIVEN,
    tokens: TokenKind | None = None,
    images: Path,
    n_images: int = 2000,
    batch_size: int = 32,
    weights: str | None = None,
    k: int = 10,
    zero_shot: str | None = None,
    num_workers: int = 2,
    device: str | None = None,
    seed: int = 0,
    out: Path,
) -> int:
    """Measure what an SAE's reconstructions cost the ViT.

    They are put in place of the activations inside the running ViT, and what becomes of its final embedding is
    measured: cosine to the original, agreement of nearest neighbours, accuracy of a linear probe and, with a CLIP, of
    zero-shot classification; beside it, what the mean in their place costs. docs/metrics.md defines the figures. Take
    images that the SAE was not trained on.

    Args:
        sae: directory of an SAE: RUN/saes/NAME
        shards: a recording of the ViT, which says what the SAE does not say of itself: ViT, layer and preprocessing
        model: what neither of them says
        tokens: tokens that the SAE takes, where it does not say it itself; by default content, the patches
        images: folder of pictures, the first folder level is the class; or a class of sources with its options, as of
            predict
        n_images: upper bound of the images, a random choice
        batch_size: images of a forward pass
        weights: the ViT's weights as `saev predict` took them: a .safetensors or .pt file, or random; by default they
            come from the network
        k: nearest neighbours that are compared
        zero_shot: also measure the accuracy of zero-shot classification, for a CLIP of open_clip: the sentence for a
            class, with {} for the name of its folder, such as 'a photo of a {}.'
        num_workers: processes that decode; 0 decodes in the main one
        device: cpu, cuda, ...; by default a GPU if there is one
        seed: fixes the choice of images and the probe's halves
        out: JSON file for all figures
    """
    _check_out(out)
    from saev.splicing.measure_downstream import (
        measure_downstream,
    )  # here and not above: the help answers without torch

    report = measure_downstream(
        sae, images, shards=shards, model=model, tokens=tokens, n_images=n_images, batch_size=batch_size,
        weights=weights, k=k, zero_shot=zero_shot, num_workers=num_workers, device=device, seed=seed,
    )  # fmt: skip
    print(table(report))
    write_whole(out, (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
    return 0


def main(argv: list[str]) -> int:
    """Run `saev downstream ARGV` and return the exit status."""
    return typed.run(downstream, argv, "saev downstream", source_options(argv))


def _check_out(out: Path) -> None:
    folder = out.absolute().parent
    check_writable(folder)
    if not folder.is_dir():
        raise InputError(f"--out {out}: there is no directory {folder}")
    if out.exists() and not out.is_file():
        raise InputError(f"--out {out} is no regular file: name another one")


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
