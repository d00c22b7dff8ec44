"""`saev.probing.freeze`: hypotheses are fixed, with their thresholds, before they are tested.

Shape suffix: i = pictures of the recording.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from saev.errors import InputError, tell
from saev.files import check_writable, given_path
from saev.latents.codes import Codes
from saev.latents.encode import encodings_of
from saev.nn import SparseAutoencoder
from saev.probing.candidates.table import CANDIDATES_FILE, read_halves
from saev.probing.hypotheses.coalitions import joined
from saev.probing.hypotheses.file import Draft, Frozen, Halves
from saev.probing.hypotheses.from_gallery import as_shown, notes_of_run, read_named, read_notes
from saev.probing.hypotheses.hypothesis import Hypothesis, Latents
from saev.probing.hypotheses.reading import read_hypotheses
from saev.probing.hypotheses.stated import check_apart, check_one_of, stated
from saev.probing.hypotheses.thresholds import known_labels, with_thresholds
from saev.probing.pictures.known import Known
from saev.probing.pictures.pooled import pooled
from saev.probing.pictures.pooling import Pooling
from saev.probing.pictures.units import check_sides
from saev.probing.proposal_half import ProposalHalf
from saev.probing.proposing import CODES, DRAFT_FILE
from saev.probing.subject import Subject, loaded, opened
from saev.probing.verdicts.confounders import check_strata, strata_of
from saev.shards.format.layout import TokenKind
from saev.shards.reading.open import layers_of
from saev.shards.reading.reader import ShardReader


def freeze(
    sae: SparseAutoencoder | str | Path,
    shards: ShardReader | str | Path,
    out: str | Path,
    *,
    notes: str | Path | None = None,
    names: str | Path | None = None,
    candidates: str | Path | None = None,
    file: str | Path | None = None,
    latents: Sequence[int] = (),
    unless: Sequence[int] = (),
    thresholds: Sequence[float] = (),
    join: int = 0,
    claim: str = "",
    attribute: str = "",
    does_not_fire: bool = False,
    only: Sequence[str] = (),
    pooling: Pooling | None = None,
    count_above: float | None = None,
    smallest_effect: float | None = None,
    alpha: float | None = None,
    strata: str | None = None,
    seed: int | None = None,
    group: Sequence[str] | None = None,
    codes: Codes | str | Path | None = None,
    labels: Sequence[str | Path] | None = None,
    metadata: str | Path | None = None,
    tokens: TokenKind | None = None,
    device: str | None = None,
) -> Path:
    """Fix hypotheses before they are tested: latents, thresholds, pooling, claim and the smallest effect that matters.

    They come from exactly one of `notes`, `names`, `candidates`, `file`, `latents` and `join`, and by default from the
    notes of the run. A threshold that is not given is chosen on the proposal half of the pictures: the one with the
    largest MCC for one latent whose attribute is labelled, else about half of a latent's largest values
    (`unlabelled_threshold`); a line says how often it fires then. Where none is missing nothing is encoded. `out` is
    JSON with the SAE's digest, a date and a hash of itself; it is never overwritten.

    >>> import saev, tempfile
    >>> from saev.vit.images import DemoScenes
    >>> backbone = saev.load_backbone("timm", "test_vit", weights="random")
    >>> sae = saev.TopK(d_in=64, d_sae=128, k=4)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     [shards] = saev.record(DemoScenes(4), backbone, [-2], f"{directory}/shards")
    ...     path = freeze(sae, shards, f"{directory}/mine.json", latents=[12], thresholds=[0.5], claim="stripes")
    ...     '"text": "stripes"' in path.read_text()
    True

    Args:
        sae: The SAE, or its directory.
        shards: The recording that it is about, or its directory.
        out: The file.
        notes: Written in the gallery: a hypothesis for each note with a claim or a text that is not called refuted.
            Where the gallery showed the proposal half alone, they say how the pictures are divided. By default, where
            nothing else is given either, those that `saev view` wrote in the run of the SAE.
        names: The directory of a gallery that has names, or its names.json: a hypothesis in words for each name.
        candidates: The directory of `saev.probing.propose`: its draft; with `latents` or `join` only its division of
            the pictures.
        file: A draft in JSON or YAML, see docs/files.md.
        latents: One hypothesis on these latents: it fires where one of them does.
        unless: And none of these.
        thresholds: Of each of them, those of `latents` first.
        join: One hypothesis on up to so many latents, found and joined by OR and AND NOT for `attribute`.
        claim: The claim in words, by default the attribute's name; with `latents` or `join`.
        attribute: What the pictures have, as SOURCE:NAME, such as "label:zebra"; SOURCE is label, patch, metadata or
            folders. By default it is known in words alone; with `latents` or `join`.
        does_not_fire: Whether they are not to fire on it; with `latents` or `join`.
        only: Ids of hypotheses: the others are left out. A test of fewer is stronger.
        pooling: As in `propose`; drafts say it themselves.
        count_above: Likewise.
        smallest_effect: The smallest MCC that matters; by default that of the draft, or .2.
        alpha: The error that is allowed over all hypotheses; by default that of the draft, or .05.
        strata: Within what the effect is measured and labels change places in the test: "label" (as recorded) or a
            column of `metadata`; by default as the draft says, or among all pictures.
        seed: Of the division of the pictures; drafts, candidates and notes from a gallery of one half say it.
        group: Columns of `metadata` by which pictures belong together; drafts and candidates say it themselves.
        codes: Saved codes; by default those of `candidates`, or the pictures are encoded in memory.
        labels: As in `propose`, for thresholds.
        metadata: As in `propose`.
        tokens: As in `saev.encode`.
        device: Where to encode.

    Returns:
        `out`.

    Raises:
        InputError: If it is not clear where hypotheses come from, they are on another SAE or recording, or on unknown
            latents or attributes, a latent never fires on the proposal half, strata are unknown or what the claim is
            about, the recording is one of the original saev, or something is at `out` already.
    """
    out = given_path(out, "out")
    if out.exists():
        raise InputError(f"{out} is there already: what is frozen is not overwritten, name another file")
    check_writable(out.parent)
    if not (notes or names or candidates or file or latents or join) and isinstance(sae, str | Path):
        notes = notes_of_run(sae)
        if notes is not None:
            tell(f"hypotheses come from {notes}")
    divided, drafts = None, {"candidates": candidates, "file": file}
    if latents or join:
        divided, drafts = candidates, {"file": file}  # candidates say here how pictures are divided, and nothing else
    check_one_of({"notes": notes, "names": names, **drafts, "latents": latents, "join": join})
    check_apart({"pooling": pooling, "count_above": count_above}, drafts, "the draft says it")
    check_apart({"seed": seed, "group": group}, {"candidates": candidates, "file": file}, "the draft says it")
    of_one = {"unless": unless, "thresholds": thresholds, "claim": claim, "attribute": attribute}
    check_apart(
        {**of_one, "does_not_fire": does_not_fire},
        {"notes": notes, "names": names, **drafts},
        "it goes with latents or join",
    )
    subject = _subject(sae, shards, codes or _codes_beside(candidates), labels, metadata, tokens, device)
    how: dict[str, Any] = {"tokens": subject.tokens, "pooling": pooling or "max", "count_above": count_above or 0.0}

    def say(own: Latents) -> Hypothesis:
        return stated(own, text=claim, attribute=attribute, does_not_fire=does_not_fire, **how)

    noted, shown = None, None
    if notes is not None:
        noted, shown = read_notes(notes, **how)
    elif names is not None:
        noted, shown = read_named(names, **how)
    halves = as_shown(shown, seed, group) or _halves(divided, seed, group, is_asked=not any(drafts.values()))
    if any(drafts.values()):
        draft = _read(Path(file)) if file is not None else _drafted(Path(candidates or ""))
    elif noted is not None:
        draft = replace(noted, halves=halves)
    elif join:
        draft = Draft((_joined(subject, say, attribute, join, halves),), halves=halves)
    else:
        own = Latents(tuple(latents), tuple(unless), tuple(thresholds) or None)
        draft = Draft((say(own),), halves=halves)
    draft = _narrowed(draft, only, smallest_effect, alpha, strata)
    content_id = subject.reader.recording.content_id
    draft.check(subject.sae, content_id)
    if draft.strata is not None:
        check_strata(draft.strata, [one.attribute for one in draft.hypotheses])
        strata_of(draft.strata, subject.known.labels, subject.known.metadata)
    _completed(draft, subject).frozen(subject.sae, content_id, datetime.now(UTC)).write(out)
    if (noted is not None and shown is None) or (latents and attribute and candidates is None):
        tell(_SEEN)
    return out


_SEEN: Final = (
    "without --proposal_half a gallery shows and counts pictures of both halves: where it made you choose these "
    "latents, pictures of their test have chosen them, too, and chance may be confirmed"
)


def _subject(
    sae: SparseAutoencoder | str | Path,
    shards: ShardReader | str | Path,
    codes: Codes | str | Path | None,
    labels: Sequence[str | Path] | None,
    metadata: str | Path | None,
    tokens: TokenKind | None,
    device: str | None,
) -> Subject:
    sae = loaded(sae)
    reader = opened(shards, None if isinstance(shards, ShardReader) else layers_of(Path(shards))[0])
    if not reader.manifest.has_names:
        raise InputError(
            f"{reader.path}: the original saev noted neither names nor digests of its pictures, so that no set could "
            "be built for a test: record them with `saev predict`"
        )
    with encodings_of({"": sae}, reader, None, tokens, "cpu") as encodings:  # checks whether they belong together
        kind = reader.layout.tokens.kind_of(encodings[""].tokens.positions)
    return Subject(sae, reader, Known.of(reader, labels, metadata), kind, codes, device)


def _codes_beside(candidates: str | Path | None) -> Path | None:
    """The codes that `propose` wrote, if it did."""
    found = None if candidates is None else Path(candidates) / CODES
    return found if found is not None and found.is_dir() else None


def _halves(divided: str | Path | None, seed: int | None, group: Sequence[str] | None, *, is_asked: bool) -> Halves:
    """How pictures are divided: as for these candidates, or as the options say."""
    if divided is not None:
        return read_halves(Path(divided) / CANDIDATES_FILE)
    if is_asked and group is None:
        tell(
            f"pictures are divided with seed {seed or 0} and without groups: if you have looked at the proposal half "
            "of another division, give it (group, seed, or candidates), lest you test on pictures that you have seen"
        )
    return Halves(seed or 0, tuple(group or ()))


def _drafted(directory: Path) -> Draft:
    if (directory / CANDIDATES_FILE).exists() and not (directory / DRAFT_FILE).exists():
        raise InputError(
            f"{directory} has no draft, because no q was small enough: name latents beside it, or join some"
        )
    return _read(directory / DRAFT_FILE)


def _read(path: Path) -> Draft:
    found = read_hypotheses(path)
    if isinstance(found, Frozen):
        raise InputError(f"{path} is frozen already, on {found.date}: test it as it is")
    return found


def _joined(
    subject: Subject, say: Callable[[Latents], Hypothesis], attribute: str, most: int, halves: Halves
) -> Hypothesis:
    """The hypothesis on latents that are found on the proposal half."""
    if not attribute:
        raise InputError("join needs an attribute, as SOURCE:NAME: latents are joined by who has it")
    attempt = say(Latents((0,)))
    y_i = known_labels(attempt, subject.known.attributes)
    if y_i is None:
        raise InputError(f"nothing is known of {attribute}: give labels or metadata that have it")
    half = ProposalHalf.of(subject.known, halves)
    check_sides(attribute, y_i, half.units, half.is_test_i)
    pooled_il = pooled(subject.codes, half.images, attempt.pooling, attempt.count_above)
    found = joined(pooled_il, y_i[half.images], claim=attempt.claim, most=most).latents
    return say(found)


def _narrowed(
    draft: Draft, only: Sequence[str], smallest_effect: float | None, alpha: float | None, strata: str | None
) -> Draft:
    """The hypotheses that are wanted, with what the user fixes for all."""
    ids = [one.id for one in draft.hypotheses]
    if unknown := [one for one in only if one not in ids]:
        shown = ", ".join(ids[:10]) + (", ..." if len(ids) > 10 else "")
        raise InputError(f"only: there is no hypothesis {unknown[0]!r}: there are {shown}")
    kept = [one for one in draft.hypotheses if not only or one.id in only]
    if smallest_effect is not None:
        kept = [replace(one, smallest_effect=smallest_effect) for one in kept]
    alpha, strata = draft.alpha if alpha is None else alpha, draft.strata if strata is None else strata
    return replace(draft, hypotheses=tuple(kept), alpha=alpha, strata=strata)


def _completed(draft: Draft, subject: Subject) -> Draft:
    """With all thresholds and the division, once both halves have pictures with each attribute and without it."""
    is_whole = draft.halves.division is not None and all(one.latents.thresholds is not None for one in draft.hypotheses)
    if is_whole and draft.halves.columns and subject.known.metadata is None:
        return draft  # it was made with a table that is not needed here
    half = ProposalHalf.of(subject.known, draft.halves)
    for one in draft.hypotheses:
        y_i = known_labels(one, subject.known.attributes)
        if y_i is not None:
            check_sides(f"hypothesis {one.id}", y_i, half.units, half.is_test_i)
    found = with_thresholds(draft.hypotheses, half.images, subject.known.attributes, lambda: subject.codes)
    return replace(draft, hypotheses=found, halves=half.halves)
