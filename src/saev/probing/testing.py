"""`saev.probing.test`: frozen hypotheses on their sets, once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

from saev.errors import InputError
from saev.files import check_writable, given_path
from saev.latents.codes import Codes
from saev.nn import SparseAutoencoder
from saev.probing.controls.control import Control
from saev.probing.hypotheses.file import Frozen
from saev.probing.hypotheses.ledger import LedgerEntry, Ledgers
from saev.probing.hypotheses.reading import read_frozen
from saev.probing.pictures.known import Known
from saev.probing.proposal_half import ProposalHalf
from saev.probing.report.gather import Gatherer
from saev.probing.report.page import report_page
from saev.probing.report.reported import Reported, n_pictures, pictures_of_each
from saev.probing.statistics.correction import holm
from saev.probing.subject import codes_of, loaded, opened
from saev.probing.verdicts.all_codes import AllCodes
from saev.probing.verdicts.bench import Bench
from saev.probing.verdicts.beside import controls_beside
from saev.probing.verdicts.confounders import strata_of
from saev.probing.verdicts.edit_effects import edit_effects, pair_values
from saev.probing.verdicts.files import Verdicts, write_verdicts
from saev.probing.verdicts.given_sets import given_sets
from saev.probing.verdicts.inputs import inputs_of
from saev.probing.verdicts.judged import N_DRAWS, result
from saev.probing.verdicts.unrecorded import codes_of_new, unrecorded
from saev.shards.reading.reader import ShardReader
from saev.vit.preprocess import Preprocessing

N_PERMUTATIONS = 10_000


def test(
    hypotheses: str | Path | Frozen,
    sae: SparseAutoencoder | str | Path,
    shards: ShardReader | str | Path,
    sets: str | Path,
    out: str | Path,
    *,
    codes: Codes | str | Path | None = None,
    answers: Sequence[str | Path] = (),
    labels: Sequence[str | Path] | None = None,
    metadata: str | Path | None = None,
    strata: str | None = None,
    controls: bool = True,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
    weights: str | None = None,
    device: str | None = None,
) -> Path:
    """Test frozen hypotheses on the sets that were built for them, and write a report.

    Each hypothesis is judged on the pictures of its set alone, which chose nothing. docs/probing.md says how, and
    docs/files.md what the report holds. Ledgers note the test and its pictures before the report shows: pictures are
    tested for an attribute once, and what comes after is exploratory and decides nothing.

    >>> import saev, tempfile
    >>> from saev.probing.hypotheses.file import Draft
    >>> from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents
    >>> from saev.probing.verdicts.files import read_verdicts
    >>> from saev.vit.images import DemoScenes
    >>> mint = Hypothesis("mint", AttributeName("label", "mint"), Latents((7,), (), (0.1,)), text="on mint")
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(60), backbone, [-2], f"{directory}/shards")
    ...     content_id = saev.open_shards(shards).recording.content_id
    ...     frozen = Draft((mint,)).frozen(sae, content_id, datetime.now(UTC))
    ...     _ = saev.probing.build(frozen, sae, shards, f"{directory}/sets")
    ...     report = test(frozen, sae, shards, f"{directory}/sets", f"{directory}/report", controls=False)
    ...     [found] = read_verdicts(report).results
    >>> found.id, found.exploratory
    ('mint', False)

    Args:
        hypotheses: The frozen file. p values are corrected for all hypotheses in it, those without a set, too.
        sae: The SAE that they are on, or its directory.
        shards: The recording that they are on, or its directory.
        sets: The directory that holds the set of each hypothesis, by its id.
        out: The directory of the report.
        codes: Saved codes of that SAE on that recording; by default they are encoded now, in memory.
        answers: Files that the pages of sets exported; for sets without labels of their own.
        labels: As in `propose`, for controls: "image", "patch" and directories with folders of tasks; by default the
            recorded labels that are there.
        metadata: A table of the pictures: for the columns that group them, for strata and for confounders.
        strata: Within what the effect is measured and labels change places: as it was frozen, and nothing else.
        controls: Whether to measure what else tells the pictures apart, where labels of the proposal half are known. It
            reads the activations of both halves.
        n_permutations: Permutations of labels; p is at least 1 / (n + 1), times the hypotheses of the file when it is
            corrected.
        seed: Of permutations, of draws and of random latents.
        weights: The ViT's weights, for pairs and for pictures that were never recorded: a .safetensors or .pt file, or
            "random"; by default they come from the network.
        device: Where to encode; by default a GPU if there is one.

    Returns:
        `out`.

    Raises:
        InputError: If anything does not belong together or was edited, other strata are given than were frozen, a set
            has no labels, labels of one kind are all that a set with labels has, so few permutations can confirm
            nothing, or the disk does not take the report. Nothing is written then.
    """
    options = {
        "hypotheses": hypotheses, "sae": sae, "shards": shards, "sets": sets, "codes": codes,
        "answers": answers or None, "labels": labels, "metadata": metadata, "strata": strata, "controls": controls,
        "n_permutations": n_permutations, "seed": seed, "weights": weights, "device": device, "out": out,
    }  # fmt: skip
    out, sets = given_path(out, "out"), given_path(sets, "sets")
    if out.exists():
        raise InputError(f"{out} is there already: a report is not overwritten, name another directory")
    if n_permutations < 1 or seed < 0:
        raise InputError(f"n_permutations={n_permutations} must be 1 or more, seed={seed} 0 or more")
    check_writable(out)
    frozen = hypotheses if isinstance(hypotheses, Frozen) else read_frozen(hypotheses)
    _check_can_confirm(frozen, n_permutations)
    strata = _checked_strata(frozen, strata)
    sae, reader = loaded(sae), opened(shards)
    frozen.check(sae, reader.recording.content_id)
    preprocessing = Preprocessing.from_dict(reader.recording.preprocessing)
    known = Known.of(reader, labels, metadata)
    stratum = None if strata is None else strata_of(strata, known.labels, known.metadata)
    half = ProposalHalf.of(known, frozen.halves)
    ledgers = Ledgers(reader.path.resolve().parent, sets.resolve())
    given = given_sets(sets, frozen, known.records, half.is_test_i, answers, ledgers)
    _check_can_confirm(frozen, n_permutations, max(its.looks for its in given))
    place = ledgers.writable()
    for its in given:
        check_writable(its.directory)  # for the ledger: half of the sets must not be spent without a report
    recorded = codes_of(sae, reader, codes, device=device)
    new = unrecorded(given)
    table = known.metadata if metadata is None else metadata
    inputs = inputs_of(answers, table, labels, known.attributes, codes, weights if new else None)
    tokens = recorded.origin.tokens
    fresh = codes_of_new(list(new.values()), sae, reader, tokens, weights, device) if new else recorded
    all_codes = AllCodes(recorded, fresh, {sha256: number for number, sha256 in enumerate(new)})
    measures = Bench(half, all_codes, stratum).measure(given, n_permutations, seed)
    beside: Sequence[Sequence[Control]] = [()] * len(given)
    if controls:
        values = [one.values for one in measures]
        beside = controls_beside(values, half, reader, sae, recorded, seed, device)
    n = len(frozen.hypotheses)
    corrected = holm([one.p for one in measures] + [1.0] * (n - len(measures)))[: len(measures)]
    pairs = [pair_values(its, all_codes) for its in given]
    edits = [
        edit_effects(own, its, alpha=frozen.alpha, n_tested=n * its.looks, n_flips=n_permutations, seed=seed)
        for own, its in zip(pairs, given, strict=True)
    ]
    results = tuple(
        result(
            one,
            its,
            p_corrected=min(1.0, float(p) * its.looks),
            alpha=frozen.alpha,
            n_tested=n * its.looks,
            strata=strata,
            controls=own,
            edits=pair,
            vit=reader.recording.model,
        )
        for one, its, p, own, pair in zip(measures, given, corrected, beside, edits, strict=True)
    )
    date = datetime.now(UTC).isoformat(timespec="seconds")
    verdicts = Verdicts(
        date, frozen.hash, frozen.sae, frozen.shards, frozen.alpha, n, n_permutations, N_DRAWS, strata, seed, inputs,
        results,
    )  # fmt: skip
    entries = [LedgerEntry(date, frozen.hash, one.id, one.set_digest, one.verdict, one.exploratory) for one in results]
    noting = ledgers.noting(place, [its.in_use for its in given], entries, [its.tried for its in given])
    gatherer = Gatherer(all_codes, preprocessing)
    room = pictures_of_each(len(results))
    shown = [gatherer.pairs(own, its, room) for own, its in zip(pairs, given, strict=True)]
    reported = [
        Reported(one, done.values, gatherer.kinds(done.values, its.directory, room - n_pictures(own)), own)
        for one, done, its, own in zip(results, measures, given, shown, strict=True)
    ]
    gatherer.warn_of_faults()
    write_verdicts(out, verdicts, report_page(verdicts, reported, options), noting)
    return out


def _check_can_confirm(frozen: Frozen, n_permutations: int, looks: int = 1) -> None:
    n = len(frozen.hypotheses) * looks
    least, again = n / (n_permutations + 1), " and for earlier tests of a claim" if looks > 1 else ""
    if least > frozen.alpha:
        raise InputError(
            f"n_permutations={n_permutations} is too few for {len(frozen.hypotheses)} hypotheses: the smallest p, "
            f"corrected for all of them{again}, is {least:.2g}, above alpha {frozen.alpha:g}: give "
            f"{ceil(n / frozen.alpha)} or more"
        )


def _checked_strata(frozen: Frozen, strata: str | None) -> str | None:
    if strata not in (None, frozen.strata):
        own = "among all pictures" if frozen.strata is None else f"within strata {frozen.strata!r}"
        raise InputError(
            f"strata {strata!r}: the hypotheses are frozen to be tested {own}, lest strata are tried until one "
            f"confirms them: leave it out, or freeze them with --strata {strata} for sets that are not used yet"
        )
    return frozen.strata
