"""What stands at the top of a gallery: what it is of, and how good the SAE is there. What is not known is left out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from saev.artifacts import provenance_of
from saev.artifacts.metrics_file import read_metrics
from saev.errors import InputError
from saev.gallery.image_sets import HELD_OUT, TRAINING, ImageSet, Place, data_set_name
from saev.gallery.pages import Subject
from saev.shards.tokens import TokenSelection

FVU = "FVU"
Figures = Mapping[str, Mapping[str, Any]]
"""Of an SAE by stage: "train" of the last batch, "val" of held-out tokens, "test" of the images that are shown."""


def facts_of(subject: Subject, tokens: TokenSelection, place: Place, figures: Figures, seed: int) -> dict[str, str]:
    """What is known, in words; an FVU that was measured on the same images before is still true.

    Args:
        subject: The SAE and what a survey found.
        place: Which images these are, and what was said of them before.
        seed: Of the choice of images and latents.
    """
    image_set, before = place.image_set, place.before.facts if place.before else {}
    reader, moments = tokens.reader, subject.survey.moments
    model, n_all = reader.recording.model, reader.n_examples
    n_dead = int((moments.frequency <= 0).sum())
    trained_with = provenance_of(subject.sae).training.get("seed")
    return {
        "model": f"{model['family']} {model['ckpt']}",
        "layer": " + ".join(str(one.recording.layer) for one in tokens.readers),
        "latents": f"{subject.sae.d_sae:,}",
        "data set": f"{data_set_name(reader)} ({reader.recording.content_id[:12]})",
        "split": image_set.title,
        "images": f"{moments.n_images:,}"
        + (f" of {n_all:,}" if moments.n_images < n_all else "")
        + (f" ({image_set.half})" if image_set.half else ""),
        "tokens": f"{moments.n_tokens:,}",
        "L0": f"{float(moments.frequency.sum()):.4g}",
        **(_fvu(image_set, figures) or {name: value for name, value in before.items() if name == FVU}),
        "dead": f"{n_dead:,} ({n_dead / subject.sae.d_sae:.1%})",
        "seed": f"{seed} of the choice" if trained_with is None else f"{trained_with} of the SAE, {seed} of the choice",
        "rendered": datetime.now(UTC).date().isoformat(),
    }


def figures_beside(path: Path) -> Figures:
    """Those of a metrics.json of training and validation, whose images are known; a test may have been of any."""
    try:
        return {stage: found for stage, found in read_metrics(path, quiet=True).items() if stage != "test"}
    except InputError:
        return {}


def _fvu(image_set: ImageSet, figures: Figures) -> dict[str, str]:
    """FVU on the images that are shown or, of training images, on the last batch."""
    stages = {"test": ""}
    if image_set.name.startswith(TRAINING):
        stages = {"train": " (last batch)", "val": " (held out)"}
    elif image_set.name.startswith(HELD_OUT) and "test" not in figures:
        stages = {"val": " (validation)"}
    known = {note: figures.get(stage, {}).get("fvu") for stage, note in stages.items()}
    shown = [f"{value:.4g}{note}" for note, value in known.items() if value is not None]
    return {FVU: ", ".join(shown)} if shown else {}
