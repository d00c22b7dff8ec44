"""`saev.probing.propose`: every latent against all that is known of the pictures, on the half that one may look at.

Shape suffixes: i = pictures of the recording, l = latents, j = attributes, r = rows of the table.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from saev.errors import InputError, tell
from saev.files import bring_to_disk, check_writable, given_path, unwritable
from saev.latents.codes import Codes
from saev.nn import SparseAutoencoder
from saev.probing.candidates.controls import control_columns
from saev.probing.candidates.drafting import drafted
from saev.probing.candidates.page import PAGE_FILE, write_page
from saev.probing.candidates.patches import overlap
from saev.probing.candidates.scoring import Scored
from saev.probing.candidates.seeds import in_other_seeds, other_seeds
from saev.probing.candidates.table import CANDIDATES_FILE, Rows, columns_of, write_table
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.pictures.known import Known, testable
from saev.probing.pictures.pooled import pooled
from saev.probing.pictures.pooling import Pooling
from saev.probing.proposal_half import ProposalHalf
from saev.probing.subject import codes_of, loaded, opened
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader

CODES: Final = "codes"
DRAFT_FILE: Final = "hypotheses.json"
_PARTIAL: Final = ".partial"
_ORIGINAL: Final = (
    "the original saev noted neither names nor digests of its pictures: what is found here cannot be tested, and "
    "nothing is drafted; record the pictures with `saev predict` for that"
)


def propose(
    sae: SparseAutoencoder | str | Path,
    shards: ShardReader | str | Path,
    out: str | Path,
    *,
    codes: Codes | str | Path | None = None,
    labels: Sequence[str | Path] | None = None,
    metadata: str | Path | None = None,
    group: Sequence[str] = (),
    class_column: str | None = None,
    pooling: Pooling = "max",
    count_above: float = 0.0,
    n_candidates: int = 20,
    n_permutations: int = 200,
    smallest_effect: float = 0.2,
    seeds: Sequence[SparseAutoencoder | str | Path] = (),
    controls: bool = True,
    seed: int = 0,
    layer: int | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
) -> Path:
    """Compare every latent with every attribute of the pictures, on the half of them that one may look at.

    What is found is exploratory: the best of very many on the same pictures. It gives hypotheses; freeze them with
    `saev.probing.freeze` and test them on the other half, which is not looked at here.

    `out` gets `candidates.parquet` (a table: of each attribute the best latents, of each latent its best attribute),
    `index.html` (the same as a page), `hypotheses.json` (a draft: of each attribute the best latent with a q of at most
    .05, and up to five together where these are better) and, without `codes`, `codes/`. After an
    interruption the same call goes on with the codes that are whole.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(40), backbone, [-2], f"{directory}/shards")
    ...     found = propose(sae, shards, f"{directory}/found")
    ...     sorted(path.name for path in found.iterdir() if path.suffix != ".json")
    ['candidates.parquet', 'codes', 'index.html']

    Args:
        sae: An SAE, or the directory of one.
        shards: A recording of the same ViT, or its directory.
        out: The directory of the results.
        codes: Saved codes of the SAE on the recording, or their directory.
        labels: "image" (recorded labels of pictures), "patch" (of patches) and directories with folders
            `<task>-positive` and `<task>-negative`; by default the recorded labels that are there.
        metadata: A table of the pictures, as CSV.
        group: Columns of the table by which pictures belong together: specimen, site, date. No group is divided.
        class_column: A column of the table that says the class of a picture, such as species; by default the recorded
            label does. A latent may know no more than that.
        pooling: How the codes of a picture's tokens become one value: max, mean, sum or count.
        count_above: What a code exceeds that counts.
        n_candidates: Latents that are kept of each attribute.
        n_permutations: Permutations for p of the best latent of an attribute.
        smallest_effect: The smallest MCC that matters, for the draft.
        seeds: SAEs that differ from it in their seed alone, or their directories: is a latent found again there?
        controls: Whether to measure what else tells the pictures apart; it reads activations of at most 2,000 pictures.
        seed: Of the division of the pictures, of the permutations and of the controls.
        layer: As in `saev.encode`.
        tokens: As in `saev.encode`.
        device: Where to encode.

    Returns:
        `out`.

    Raises:
        InputError: If an option makes no sense, SAE, recording, codes and labels do not belong together, nothing that
            is known tells the pictures of both halves apart, results are there already, or the disk is full.
    """
    out = given_path(out, "out")
    _check(out, n_candidates, n_permutations, smallest_effect)
    sae, reader = loaded(sae), opened(shards, layer)
    if not reader.manifest.has_names:
        tell(_ORIGINAL)
    known = Known.of(reader, labels, metadata)
    if known.attributes is None:
        here = f"{reader.path}: pictures have neither labels nor masks"
        lacks = here if known.metadata is None else f"{known.metadata.name} has free text alone, and no labels are used"
        raise InputError(
            f"{lacks}: give a table (metadata) or folders of tasks (labels) that say what pictures have, or write down "
            "what you see and freeze your notes"
        )
    class_i = known.classes(class_column)
    half = ProposalHalf.of(known, Halves(seed, tuple(group)))
    attributes = testable(known.attributes, half.units, half.is_test_i)
    others = other_seeds(sae, seeds)
    similar = in_other_seeds(sae, others) if others else None
    found = codes_of(sae, reader, codes, out / CODES, tokens=tokens, device=device)
    scored = Scored.of(pooled(found, half.images, pooling, count_above), half.part(attributes), half.group_h)
    own = overlap(found, known.labels, half.is_test_i, scored)
    rows = Rows.of(scored, n_candidates, None if own is None else own.iou)
    more: dict[str, Any] = {}
    if similar is not None:
        more = {"seeds": similar[0][rows.latent_r], "seed_cosine": similar[1][rows.latent_r]}
    n_controls = 0
    if controls and scored.attributes.binary:
        beside, n_controls = control_columns(
            reader, half.images, scored, rows, sae, others, tokens=found.origin.tokens, seed=seed, device=device
        )
        more |= beside
    class_mcc_j = scored.class_mcc(class_i[half.images], class_column)
    columns = columns_of(scored, rows, scored.p_of_best(n_permutations, seed), class_mcc_j, own, more)
    hypotheses: Sequence[Hypothesis] = ()
    if reader.manifest.has_names:
        how: dict[str, Any] = {"tokens": found.origin.tokens, "pooling": pooling, "count_above": count_above}
        hypotheses = drafted(scored, **how, smallest_effect=smallest_effect)
    with _together(out) as partial:
        write_table(partial / CANDIDATES_FILE, columns, half.halves)
        if hypotheses:
            draft = Draft(tuple(hypotheses), halves=half.halves, sae=found.origin.sae, shards=found.origin.shards)
            draft.write(partial / DRAFT_FILE)
        elif reader.manifest.has_names:
            tell(f"no latent has a q of at most .05 for any attribute: no {DRAFT_FILE}; more pictures may help")
        shape = scored.effect_lj.shape
        facts = {
            "Recording": reader.path.resolve().name,
            **_of_pictures(half),
            "Latents": f"{shape[0]:,}",
            "Attributes": f"{shape[1]:,}",
            "Value of a picture": f"{pooling} over its tokens",
            "In the draft": f"{len(hypotheses):,}",
            **({"Other SAEs": f"{len(others):,}"} if others else {}),
            **({"Controls measured on": f"{n_controls:,} of these pictures"} if n_controls else {}),
        }
        write_page(partial / PAGE_FILE, columns, facts, shape[0] * shape[1])
    return out


@contextmanager
def _together(out: Path) -> Iterator[Path]:
    """A directory whose files stand in `out` at the end of the block; if it fails, none does, and a new run may begin.

    Raises:
        InputError: If the disk does not take it.
    """
    partial = out / _PARTIAL
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
        partial.mkdir(parents=True)
        yield partial
        for path in partial.iterdir():
            path.replace(out / path.name)
        bring_to_disk(out)
    except OSError as error:
        raise InputError(unwritable(out, error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check(out: Path, n_candidates: int, n_permutations: int, smallest_effect: float) -> None:
    if n_candidates < 1 or n_permutations < 1:
        raise InputError(f"n_candidates={n_candidates} and n_permutations={n_permutations} must be 1 or more")
    if not 0 < smallest_effect < 1:
        raise InputError(f"smallest_effect {smallest_effect}: give an MCC above 0 and below 1")
    check_writable(out)
    for name in (CANDIDATES_FILE, DRAFT_FILE, PAGE_FILE):
        if (out / name).exists():
            raise InputError(f"{out / name} is there already: name another directory, or remove it")


def _of_pictures(half: ProposalHalf) -> dict[str, str]:
    n, n_units = len(half.images), len(np.unique(half.group_h))
    said = {"Pictures looked at": f"{n:,} (another {int(half.is_test_i.sum()):,} wait for the test)"}
    return said | ({"Units among them": f"{n_units:,}"} if n_units < n else {})
