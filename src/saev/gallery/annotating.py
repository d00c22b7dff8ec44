"""`saev.annotate`: what is known of latents from elsewhere, in galleries that are there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saev.artifacts import load_sae
from saev.errors import InputError
from saev.files import read_regular, write_whole
from saev.gallery.data import Seeds, Verdict
from saev.gallery.image_sets import MAX_BYTES, OVERVIEW, folder_of, overview_of, read_sets, restore, sae_id
from saev.gallery.interventions import interventions_for
from saev.gallery.overview import with_facts_of_sae
from saev.gallery.scripts import facts_of_sae
from saev.gallery.seeds import seeds_of
from saev.gallery.table import PARQUET_FILE, annotated_table, table_files
from saev.gallery.verdicts import check_reports, read_report, verdicts_for
from saev.latents.seeds import check_seeds
from saev.nn import SparseAutoencoder
from saev.splicing.interventions_file import read_interventions


def annotate(
    saes: Mapping[str, SparseAutoencoder | str | Path],
    out: str | Path,
    *,
    verdicts: Sequence[str | Path] = (),
    interventions: Sequence[str | Path] = (),
    seeds: Sequence[SparseAutoencoder | str | Path] = (),
) -> dict[str, Path]:
    """Say in the galleries `out/NAME/` of SAEs what is known of their latents from elsewhere; all else stays.

    It looks at no pictures, needs no recording and takes seconds. What is given of a kind takes the place of what was
    there of it, in all image sets.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> saes = {"mine": saev.TopK(d_in=64, d_sae=128, k=4)}
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(2), backbone, [-2], f"{directory}/shards")
    ...     index = saev.render(saes, shards, f"{directory}/features", n_latents=5)["mine"]
    ...     before = (index.parent / "data" / "overview.js").read_text()
    ...     _ = annotate(saes, f"{directory}/features", seeds=[saev.TopK(d_in=64, d_sae=128, k=4)])
    ...     after = (index.parent / "data" / "overview.js").read_text()
    >>> '"seeds"' in before, '"seeds"' in after
    (False, True)

    Args:
        saes: SAEs, or their directories, by the names of their galleries.
        out: Directory of the galleries.
        verdicts: As in `saev.render`.
        interventions: As in `saev.render`.
        seeds: As in `saev.render`.

    Returns:
        The path of each `index.html`.

    Raises:
        InputError: If there is nothing to say, a gallery is missing or of another SAE, something does not belong to the
            SAEs, a file is damaged, or the disk does not take it.
    """
    if not (verdicts or interventions or seeds):
        raise InputError("there is nothing to say of latents: give verdicts, interventions or seeds")
    loaded = {name: _loaded(one) for name, one in saes.items()}
    reports, edits = [read_report(one) for one in verdicts], [read_interventions(one) for one in interventions]
    check_reports([*reports, *edits], loaded)
    others = [_loaded(one) for one in seeds]
    check_seeds(others, loaded)
    galleries = {name: _sets(Path(out) / name, sae) for name, sae in loaded.items()}
    found = seeds_of(loaded, others) if others else {}
    written: dict[Path, bytes] = {}
    for name, folders in galleries.items():
        gallery, own = Path(out) / name, found.get(name)
        shown = verdicts_for(loaded[name], reports, gallery)
        for folder in folders:
            written |= annotated(folder, shown, interventions_for(loaded[name], edits, gallery), own)
    for path, content in written.items():  # once all are known, so that none is refused in the middle
        write_whole(path, content)
    return {name: Path(out) / name / "index.html" for name in loaded}


def annotated(
    folder: Path, verdicts: Sequence[Verdict], interventions: Sequence[Mapping[str, Any]], seeds: Seeds | None
) -> dict[Path, bytes]:
    """The files of an image set that say what is known of its SAE, as they are to be; what is not given stays.

    Raises:
        InputError: If they cannot be read.
    """
    if not (facts := facts_of_sae(verdicts, interventions, seeds)):
        return {}
    script = read_regular(folder / OVERVIEW, MAX_BYTES).decode("ascii")
    has_table = (folder / PARQUET_FILE).is_file()
    tables = table_files(annotated_table(folder, verdicts, seeds)) if has_table else {}
    found = {folder / name: content for name, content in tables.items()}
    return found | {folder / OVERVIEW: with_facts_of_sae(script, facts).encode("ascii")}


def _loaded(sae: SparseAutoencoder | str | Path) -> SparseAutoencoder:
    return sae if isinstance(sae, SparseAutoencoder) else load_sae(sae)


def _sets(gallery: Path, sae: SparseAutoencoder) -> list[Path]:
    """The folders of the image sets of a gallery."""
    restore(gallery)
    folders = [gallery / (folder_of(one) if number else "") for number, one in enumerate(read_sets(gallery))]
    found = [overview_of(folder) for folder in folders]
    if not folders or any(one is None or one.sae_id != sae_id(sae) for one in found):
        raise InputError(f"{gallery} is no gallery of this SAE, or of another version: make it with saev render")
    return folders
