"""`saev.render`: galleries of SAEs on the images of a recording, in one call."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saev.artifacts import load_sae
from saev.artifacts.metrics_file import METRICS_FILE
from saev.errors import InputError
from saev.gallery.facts import Figures, figures_beside
from saev.gallery.image_sets import ImageSet, find_places, not_held_out
from saev.gallery.options import RenderOptions
from saev.gallery.pages import Subject
from saev.gallery.render import Source, namer_of, render_galleries
from saev.gallery.verdicts import check_reports, read_report
from saev.latents.codes import Codes, with_saved
from saev.latents.encode import encodings_of
from saev.latents.encoding import Encoding
from saev.latents.half import HalfImages
from saev.latents.labels import Labels
from saev.latents.pictures import RecordedPictures
from saev.latents.seeds import check_seeds
from saev.latents.source_metadata import telling_columns
from saev.latents.survey import survey_images
from saev.nn import SparseAutoencoder
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import TokenSelection
from saev.splicing.interventions_file import read_interventions

Images = Sequence[int] | NDArray[np.int64]


def render(
    saes: Mapping[str, SparseAutoencoder | str | Path],
    shards: ShardReader | str | Path,
    out: str | Path,
    *,
    codes: Sequence[Codes | str | Path] = (),
    metadata: str | Path | None = None,
    verdicts: Sequence[str | Path] = (),
    interventions: Sequence[str | Path] = (),
    seeds: Sequence[SparseAutoencoder | str | Path] = (),
    images: Images | HalfImages | None = None,
    layer: int | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
    **options: Any,
) -> dict[str, Path]:
    """Write a gallery of each SAE to `out/NAME/`, or add an image set to the one of this SAE that is there.

    A set of the same images is replaced; all sets show the latents of the first one, on its scale.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(2), backbone, [-2], f"{directory}/shards")
    ...     index = render({"mine": sae}, shards, f"{directory}/features", n_latents=5)["mine"]
    ...     index.relative_to(directory).as_posix(), (index.parent / "data").is_dir()
    ('features/mine/index.html', True)

    Args:
        saes: SAEs of one width, or their directories, by the names that their galleries get.
        shards: A recording, or its directory.
        out: Directory of the galleries.
        codes: Saved codes of some of the SAEs on these shards, which are then not encoded again.
        metadata: A table of the images, as `saev.latents.metadata.read_metadata` reads it: its columns are counted as
            labels are, and shown beside pictures. By default that of their source, if it has one.
        verdicts: Reports of `saev.probing.test` on some of the SAEs, whose verdicts stand beside latents.
        interventions: Directories of `saev.probing.intervene` on some of the SAEs: what the ViT does with a latent
            stands on its page.
        seeds: SAEs, or their directories, that differ from one of these in their seed alone: latents say in how many
            they are found again. SAEs that are rendered are compared anyway.
        images: Numbers of the only images that are looked at, or `saev.probing.proposal_images(shards)`: then no latent
            is chosen by pictures of its test, and the page says so. By default all; of shards that trained an SAE those
            that were not held out, as also of the half.
        layer: As in `saev.encode`.
        tokens: As in `saev.encode`; the same for all SAEs.
        device: As in `saev.encode`.
        **options: Those of `saev.gallery.RenderOptions`.

    Returns:
        The path of each `index.html`.

    Raises:
        InputError: If an option makes no sense, SAEs, shards or codes do not belong together, something else is in a
            gallery's place, the disk does not take it, or a file is damaged.
    """
    known = [one.name for one in fields(RenderOptions)]
    if unknown := options.keys() - known:
        raise InputError(f"saev.render has no option {min(unknown)!r}: it has {', '.join(known)}")
    chosen = RenderOptions(**options)
    if not isinstance(saes, Mapping):
        raise InputError(f"saes is {type(saes).__name__}: give SAEs by name, such as {{'mine': sae}}")
    for name in saes:
        if not isinstance(name, str) or not name.isprintable() or "/" in name or name.startswith(".") or not name:
            raise InputError(f"{name!r} cannot be the name of a gallery's directory: give another one")
    with encodings_of(saes, shards, layer, tokens, device) as encodings:
        kinds = {one.tokens.positions: one.tokens for one in encodings.values()}
        if len(kinds) != 1:
            raise InputError(
                f"{len(kinds)} kinds of tokens in {len(encodings)} SAEs: galleries are made for one kind at a time"
            )
        (selection,) = kinds.values()
        places = {name: Path(one) / METRICS_FILE for name, one in saes.items() if isinstance(one, str | Path)}
        figures = {name: figures_beside(path) for name, path in places.items()}
        return render_saes(
            {name: one.sae for name, one in encodings.items()},
            selection, out, chosen, codes=codes, metadata=metadata, verdicts=verdicts, interventions=interventions,
            seeds=seeds, only=images, figures=figures,
        )  # fmt: skip


def render_saes(
    saes: Mapping[str, SparseAutoencoder],
    tokens: TokenSelection,
    out: str | Path,
    options: RenderOptions,
    *,
    codes: Sequence[Codes | str | Path] = (),
    metadata: str | Path | None = None,
    verdicts: Sequence[str | Path] = (),
    interventions: Sequence[str | Path] = (),
    seeds: Sequence[SparseAutoencoder | str | Path] = (),
    only: Images | HalfImages | None = None,
    figures: Mapping[str, Figures] | None = None,
) -> dict[str, Path]:
    """Write a gallery of each SAE, as `render` does, on any choice of images, also of several layers.

    Its arguments are those of `render`, and:

    Args:
        saes: SAEs of one width, which evaluate, on one device.
        tokens: The tokens of these images that they take; none of images that were held out of training, unless `only`
            names their numbers or there are no others.
        only: `images` of `render`.
        figures: What was measured of each SAE, by its name and by stage, for the page.

    Returns:
        The path of each `index.html`.

    Raises:
        InputError: As `render`.
    """
    reports, edits = [read_report(one) for one in verdicts], [read_interventions(one) for one in interventions]
    check_reports([*reports, *edits], saes)
    others = [one if isinstance(one, SparseAutoencoder) else load_sae(one) for one in seeds]
    check_seeds(others, saes)
    labels = Labels.of(tokens.reader, telling_columns(tokens.reader, metadata))
    encodings = {name: Encoding(sae, tokens) for name, sae in saes.items()}
    for one in encodings.values():
        options.check_latents(one.d_sae)
    if (namer := namer_of(options)) is not None:
        namer.clip.to(next(iter(saes.values())).mean_d.device)
    sources = with_saved(encodings, codes)
    half, numbers = (only.half, only.numbers) if isinstance(only, HalfImages) else (None, only)
    looked_at = not_held_out(tokens, saes.values()) if numbers is None or half is not None else tokens
    looked_at = looked_at if numbers is None else looked_at.among(numbers)
    image_set = ImageSet.of(looked_at, saes.values(), name=options.image_set, half=half)
    # A name that is taken is said before the long part.
    find_places(saes, image_set, Path(out), is_named=options.image_set is not None)
    images = looked_at.subset(options.n_images, options.seed).examples
    surveys = survey_images(sources, images, labels, top_k=options.top_k, seed=options.seed)
    subjects = {name: Subject(sae, sources[name], surveys[name]) for name, sae in saes.items()}
    source = Source(
        tokens, RecordedPictures(tokens.reader), labels, image_set, reports, edits, others, figures or {}, images
    )
    found = {one.name: one.index for one in render_galleries(subjects, source, options, Path(out), namer)}
    source.pictures.warn_of_faults()
    return found
