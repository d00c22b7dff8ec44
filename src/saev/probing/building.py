"""`saev.probing.build`: the pictures on which frozen hypotheses are tested."""

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from saev.errors import InputError, tell
from saev.files import check_writable, given_path
from saev.latents.codes import Codes
from saev.latents.recorded_files import RecordedFiles
from saev.nn import SparseAutoencoder
from saev.probing.hypotheses.file import Frozen
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.hypotheses.ledger import Ledgers
from saev.probing.hypotheses.reading import read_frozen
from saev.probing.pictures.known import Known
from saev.probing.sets.files import LABEL_PAGE, read_set, write_set
from saev.probing.sets.image_set import ImageSet, SetPicture
from saev.probing.sets.labeller import Labeller
from saev.probing.sets.labelling import labelling_of
from saev.probing.sets.paired_set import read_pairs
from saev.probing.sets.pairing import Pairing
from saev.probing.sets.unseen import Unseen
from saev.probing.sets.wanted_pairs import N_PAIRS, WantedPairs
from saev.probing.subject import codes_of, loaded, opened
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
    labeller: str | None = None,
    labeller_weights: str | None = None,
    vocabulary: str | Path | None = None,
    seed: int = 0,
    device: str | None = None,
) -> list[Path]:
    """Build a set of pictures of the test half for each frozen hypothesis.

    A claim in words gets a sample over the whole range of the latents' values, and a page on which people label it
    blind. A claim on a label gets the pictures with that label known, or a sample of them, and beside it hard ones:
    pictures that do not fit the claim, and on which the latents are the most likely to fire all the same. With
    `labeller` a CLIP labels claims in words, which then are such claims, too. docs/files.md describes what is written.
    Near-duplicates of pictures of the proposal half, and all but one of those of each other, are left out.

    >>> import saev, tempfile
    >>> from datetime import UTC, datetime
    >>> from saev.probing.hypotheses.file import Draft
    >>> from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
    >>> from saev.vit.images import DemoScenes
    >>> mint = Hypothesis("mint", AttributeName("label", "mint"), Latents((7,), (), (0.1,)), text="on mint")
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(60), backbone, [-2], f"{directory}/shards")
    ...     content_id = saev.open_shards(shards).recording.content_id
    ...     frozen = Draft((mint,)).frozen(sae, content_id, datetime.now(UTC))
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
        labeller: A CLIP or SigLIP of open_clip with a text tower, such as ViT-B-32/openai, that labels the pictures of
            claims in words; `saev.probing.sets.labeller` says how.
        labeller_weights: Its weights: a .safetensors or .pt file, or "random"; by default they come from the network.
        vocabulary: File of words, one a line, whose mean embedding it takes off that of a claim; by default those that
            come with saev.
        seed: Of the choice and the order of pictures.
        device: Where to encode.

    Returns:
        The directories of the sets, in the order of the hypotheses. A claim that the labeller finds on no picture, or
        on all, has none, and a line says so.

    Raises:
        InputError: If hypotheses, SAE, recording, codes and labels do not belong together, a set is there already, a
            half has too few pictures, a picture's file is gone or changed, pairs cannot be made, see `WantedPairs` and
            `Pairing`, or the labeller cannot be had or does not read a claim whole. No set is written then.
    """
    out = given_path(out, "out")
    frozen = hypotheses if isinstance(hypotheses, Frozen) else read_frozen(hypotheses)
    if n_pictures is not None and n_pictures < FEWEST:
        raise InputError(f"n_pictures={n_pictures}: of fewer than {FEWEST} pictures no test could say anything")
    check_writable(out)
    for one in frozen.hypotheses:
        if (out / one.id).exists():
            raise InputError(f"{out / one.id} is there already: a set is not overwritten, name another directory")
    sae, reader = loaded(sae), opened(shards)
    frozen.check(sae, reader.recording.content_id)
    wanted = WantedPairs.of(frozen.hypotheses, edits, kept_edits, masks, pairs_without, pairs_with, n_pairs)
    in_words = [one for one in frozen.hypotheses if one.attribute.source == "words"]
    _check_labeller(labeller, {"labeller_weights": labeller_weights, "vocabulary": vocabulary}, in_words, blind=blind)
    clip = None if labeller is None else Labeller.load(labeller, labeller_weights, vocabulary, device)
    if clip is not None:
        clip.check(in_words)
    is_asked = [blind or (clip is None and one in in_words) for one in frozen.hypotheses]
    known = Known.of(reader, () if blind or len(in_words) == len(is_asked) else labels, metadata)
    files, preprocessing = RecordedFiles(reader), Preprocessing.from_dict(reader.recording.preprocessing)
    known.classes(class_column)  # before anything long begins
    half = Unseen.of(frozen, sae, reader, known, files, codes_of(sae, reader, codes, device=device), class_column)
    by_clip = (
        {} if clip is None else clip.sets(half, in_words, files, preprocessing.view, n_pictures or N_LABELLED, seed)
    )
    made, ledgers = [], Ledgers(reader.path.resolve().parent, out.resolve())
    for hypothesis, asked in zip(frozen.hypotheses, is_asked, strict=True):
        if asked:
            made.append(half.asked(hypothesis, n_pictures or N_ASKED, seed, ledgers))
        elif hypothesis not in in_words:
            made.append(half.labelled(hypothesis, n_pictures or N_LABELLED, seed))
        elif hypothesis.id in by_clip:
            made.append(by_clip[hypothesis.id])
    pairing = Pairing(wanted, known.records, half.units, half.is_test_i, preprocessing)
    by_id = {one.id: one for one in frozen.hypotheses}
    written = _written(out, made, by_id, known, files, pairing)
    for directory, its in zip(written, made, strict=True):
        pairs = read_pairs(directory, read_set(directory))
        digests = {picture.sha256 for picture in its.pictures} | (set() if pairs is None else pairs.sources)
        if n_tested := sum(ledgers.tested(by_id[its.hypothesis].attribute.words, list(digests))):
            some = f"{n_tested:,} of its {len(digests):,} pictures were tested on for it before"
            tell(f"{its.hypothesis}: {some}, so that its test will be exploratory, and decide nothing")
    return written


def _check_labeller(
    labeller: str | None, options: Mapping[str, object], in_words: Sequence[Hypothesis], *, blind: bool
) -> None:
    if labeller is None and (given := [name for name, value in options.items() if value is not None]):
        raise InputError(f"{given[0]} has no use without a labeller")
    if labeller is not None and blind:
        raise InputError("labeller with blind: either a CLIP labels the pictures, or people do")
    if labeller is not None and not in_words:
        raise InputError(f"labeller {labeller}: no claim is in words, and all others have labels: leave it out")


def _written(
    out: Path,
    sets: Sequence[ImageSet],
    hypotheses: Mapping[str, Hypothesis],
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
        for one in sets:
            more = partial(pairing.add_to, attribute=hypotheses[one.hypothesis].attribute.name)
            write_set(out / one.hypothesis, one, source, pairing.preprocessing.view, more)
            written.append(out / one.hypothesis)
    except BaseException:
        for directory in written:
            shutil.rmtree(directory, ignore_errors=True)
        raise
    for one in sets:
        n, n_new = len(one.pictures), sum(picture.image is None for picture in one.pictures)
        some = f", {n_new:,} of them never recorded" if n_new else ""
        if one.asks_people:
            threshold = hypotheses[one.hypothesis].latents.threshold
            n_fires = sum(stratum.n for stratum in one.strata if stratum.low > threshold)
            page = out / one.hypothesis / LABEL_PAGE
            todo = f"{n_fires} of {n} fire at the threshold; label them on {page}, then export the answers"
        elif (by := labelling_of(one)) is not None:
            todo = f"labelled by {by.clip.ckpt}, which finds it on {100 * by.test_rate:.1f} % of {by.n_test:,}"
        else:
            todo = "their labels are known"
        tell(f"{one.hypothesis}: {n:,} pictures{some}; {todo}")
    return written
