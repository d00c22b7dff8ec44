"""`saev.probing.build`: the pictures on which frozen hypotheses are tested."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from saev.artifacts import load_sae
from saev.errors import InputError, tell
from saev.files import check_writable, given_path
from saev.latents.codes import Codes
from saev.latents.encoding import sae_digest
from saev.latents.recorded_files import RecordedFiles
from saev.nn import SparseAutoencoder
from saev.probing.given_codes import codes_of
from saev.probing.hypotheses.file import Frozen
from saev.probing.hypotheses.reading import read_frozen
from saev.probing.pictures.known import Known
from saev.probing.sets.files import write_set
from saev.probing.sets.image_set import ImageSet, SetPicture
from saev.probing.sets.pairing import Pairing
from saev.probing.sets.unseen import Unseen
from saev.probing.sets.wanted_pairs import N_PAIRS, WantedPairs
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.vit.preprocess import Preprocessing

N_ASKED = 60
N_LABELLED = 2_000
FEWEST = 10


def build(
    hypotheses: str | Path | Frozen,
    sae: SparseAutoencoder | str | Path,
    shards: ShardReader | str | Path,
    out: str | Path,
    *,
    codes: Codes | str | Path | None = None,
    labels: Sequence[str | Path] | None = None,
    metadata: str | Path | None = None,
    class_column: str | None = None,
    n_pictures: int | None = None,
    blind: bool = False,
    edits: Sequence[str] = (),
    kept_edits: Sequence[str] = (),
    masks: str | Path | None = None,
    pairs_without: str | Path | None = None,
    pairs_with: str | Path | None = None,
    n_pairs: int = N_PAIRS,
    seed: int = 0,
    device: str | None = None,
) -> list[Path]:
    """Build a set of pictures of the test half for each frozen hypothesis.

    A claim in words gets a sample over the whole range of the latents' values, and a page on which people label it
    blind. A claim on a label gets the pictures with that label known, or a sample of them, and beside it hard ones:
    pictures that do not fit the claim, and on which the latents are the most likely to fire all the same. docs/files.md
    describes what is written. Near-duplicates of pictures of the proposal half, and all but one of those of each other,
    are left out.

    >>> import saev, tempfile
    >>> from datetime import UTC, datetime
    >>> from saev.demo.scenes import write_scenes
    >>> from saev.probing.hypotheses.file import Draft
    >>> from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
    >>> discs = Hypothesis("discs", AttributeName("label", "disc"), Latents((7,), (), (0.1,)), text="a disc")
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     write_scenes(Path(directory) / "pictures", 60)
    ...     [shards] = saev.record(f"{directory}/pictures", backbone, [-2], f"{directory}/shards")
    ...     content_id = saev.open_shards(shards).recording.content_id
    ...     frozen = Draft((discs,)).frozen(sae, content_id, datetime.now(UTC))
    ...     [found] = build(frozen, sae, shards, f"{directory}/sets")
    ...     sorted(path.name for path in found.iterdir())
    ['pictures', 'set.json']

    Args:
        hypotheses: The frozen file.
        sae: The SAE that the hypotheses are on, or its directory.
        shards: The recording that they are on, or its directory.
        out: The directory of the sets, each in a folder with the id of its hypothesis.
        codes: Saved codes of the SAE on the recording; by default they are encoded now, in memory.
        labels: As in `propose`: "image", "patch" and directories with folders of tasks; by default the recorded labels
            that are there.
        metadata: A table of the pictures: for attributes of it, and for columns that group pictures.
        class_column: A column of the table that says a picture's class, such as species, for pictures of the same
            class; by default the recorded label does.
        n_pictures: Of the sample; by default 60 that people label, and at most 2,000 with known labels.
        blind: Whether people label all sets, also where labels are known.
        edits: Edits of pictures that take the attribute away: names of `saev.probing.sets.edits`. Each gives pairs of
            pictures of the set.
        kept_edits: Edits that leave the attribute, and must not matter.
        masks: A folder of masks with the names of the pictures, as for `SegmentationFolder`; for edits by a mask.
        pairs_without: A folder of pictures without the attribute, for pairs of one's own.
        pairs_with: The same pictures with it, under the same names.
        n_pairs: Pairs of each edit, at most.
        seed: Of the choice and the order of pictures.
        device: Where to encode.

    Returns:
        The directories of the sets, in the order of the hypotheses.

    Raises:
        InputError: If hypotheses, SAE, recording, codes and labels do not belong together, a set is there already, a
            half has too few pictures, a picture's file is gone or changed, or pairs cannot be made, see `WantedPairs`
            and `Pairing`. No set is written then.
    """
    out = given_path(out, "out")
    frozen = hypotheses if isinstance(hypotheses, Frozen) else read_frozen(hypotheses)
    if n_pictures is not None and n_pictures < FEWEST:
        raise InputError(f"n_pictures={n_pictures}: of fewer than {FEWEST} pictures no test could say anything")
    check_writable(out)
    for one in frozen.hypotheses:
        if (out / one.id).exists():
            raise InputError(f"{out / one.id} is there already: a set is not overwritten, name another directory")
    sae = sae if isinstance(sae, SparseAutoencoder) else load_sae(sae)
    reader = shards if isinstance(shards, ShardReader) else open_shards(shards)
    _check_same(frozen, sae, reader)
    wanted = WantedPairs.of(frozen.hypotheses, edits, kept_edits, masks, pairs_without, pairs_with, n_pairs)
    is_asked = [blind or one.attribute.source == "words" for one in frozen.hypotheses]
    known = Known.of(reader, () if all(is_asked) else labels, metadata)
    files = RecordedFiles(reader)
    known.classes(class_column)  # before anything long begins
    half = Unseen.of(frozen, sae, reader, known, files, codes_of(sae, reader, codes, device=device), class_column)
    made = []
    for hypothesis, asked in zip(frozen.hypotheses, is_asked, strict=True):
        if asked:
            made.append(half.asked(hypothesis, n_pictures or N_ASKED, seed))
        else:
            made.append(half.labelled(hypothesis, n_pictures or N_LABELLED, seed))
    preprocessing = Preprocessing.from_dict(reader.recording.preprocessing)
    pairing = Pairing(wanted, known.records, half.is_test_i, preprocessing)
    attributes = [one.attribute.name for one in frozen.hypotheses]
    return _written(out, made, attributes, known, files, pairing)


def _check_same(frozen: Frozen, sae: SparseAutoencoder, reader: ShardReader) -> None:
    for what, own, given in (
        ("SAE with the digest", frozen.sae, sae_digest(sae)),
        ("recording with the content id", frozen.shards, reader.recording.content_id),
    ):
        if own != given:
            raise InputError(f"the hypotheses are on the {what} {own}, not {given}: give the one that they are on")


def _written(
    out: Path,
    sets: Sequence[ImageSet],
    attributes: Sequence[str],
    known: Known,
    files: RecordedFiles,
    pairing: Pairing,
) -> list[Path]:
    """Write all sets, or none."""
    new = {one.digest: one.path for task in known.tasks for one in task.new}

    def source(picture: SetPicture) -> Path | bytes:
        if picture.image is None:
            return new[picture.sha256]
        record = known.records[picture.image]
        return files.file_of(record) or files.read(record)

    written: list[Path] = []
    try:
        for one, attribute in zip(sets, attributes, strict=True):
            more = partial(pairing.add_to, attribute=attribute)
            write_set(out / one.hypothesis, one, source, pairing.preprocessing.view, more)
            written.append(out / one.hypothesis)
    except BaseException:
        for directory in written:
            shutil.rmtree(directory, ignore_errors=True)
        raise
    for one in sets:
        n, n_new = len(one.pictures), sum(picture.image is None for picture in one.pictures)
        some = f", {n_new:,} of them never recorded" if n_new else ""
        todo = "label them on label.html, then export the answers" if one.asks_people else "their labels are known"
        tell(f"{one.hypothesis}: {n:,} pictures{some}; {todo}")
    return written
