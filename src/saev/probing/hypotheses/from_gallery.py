"""Hypotheses from what a gallery has of latents: notes of people, and names that a CLIP gave."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, get_args

from saev.artifacts import RunDirectory
from saev.artifacts.typed_json import from_json
from saev.errors import InputError, tell
from saev.latents.naming.names_file import ClipId, read_names
from saev.latents.notes_file import Note, read_notes_file
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Claim, Hypothesis, Latents, default_id
from saev.probing.pictures.pooling import Pooling
from saev.shards.format.layout import TokenKind
from saev.shards.format.strict_json import JsonObject, located

MAX_NOTED: Final = 20
"""Hypotheses with a threshold in a note."""


def notes_of_run(sae: str | Path) -> Path | None:
    """The notes that `saev view` wrote on an SAE in its run; None where it lies in no run, or has none.

    Args:
        sae: Directory of the SAE: RUN/saes/NAME.
    """
    place = Path(sae).absolute()
    path = RunDirectory(place.parent.parent).notes(place.name)
    return path if place.parent.name == RunDirectory(place).saes.name and path.is_file() else None


def read_notes(
    path: str | Path, *, tokens: TokenKind = "content", pooling: Pooling = "max", count_above: float = 0.0
) -> tuple[Draft, Halves | None]:
    """Read notes: one hypothesis in words for each with a claim or a text, whose threshold is not chosen.

    The claim is what is tested, the text where there is none. Claims that the notes call refuted are left out, and a
    line says so. Hypotheses with thresholds, which the page makes of labels, come as they are.

    Args:
        path: The file, see docs/files.md.
        tokens: Of which tokens the latents are.
        pooling: How the codes of a picture's tokens become one value.
        count_above: As `Hypothesis` has it.

    Returns:
        The hypotheses, and how the pictures were divided of which the gallery showed one half; None where it showed
        others, or does not say.

    Raises:
        InputError: If it cannot be read, has any mistake, or no note has a claim, a text or a hypothesis.
    """
    where = str(path)
    found = read_notes_file(path)
    claims = {note.latent: (note.claim.strip() or note.text.strip(), note.verdict) for note in found.notes}
    refuted = [latent for latent, (claim, verdict) in claims.items() if claim and verdict == "refuted"]
    kept = {latent: claim for latent, (claim, verdict) in claims.items() if claim and verdict != "refuted"}
    noted = [one for note in found.notes for one in _with_thresholds(note, where, tokens, count_above)]
    if not kept and not noted:
        others = f" that is not refuted ({len(refuted)} are)" if refuted else ""
        raise InputError(
            f"{where}: none of its {len(claims)} notes has a claim or a text{others}: write down what you think in the "
            "gallery"
        )
    if refuted:
        said = ", ".join(map(str, refuted[:10])) + (", ..." if len(refuted) > 10 else "")
        tell(f"{where}: its notes call {len(refuted)} refuted, which are left out: latents {said}")
    with located(where):
        how: dict[str, Any] = {"tokens": tokens, "pooling": pooling, "count_above": count_above}
        in_words = [_in_words(latent, text, **how) for latent, text in kept.items()]
        draft = Draft((*in_words, *noted), weights=found.sae)
    return draft, None if found.half is None else Halves(*found.half)


def read_named(path: str | Path, **how: Any) -> tuple[Draft, Halves | None]:
    """One hypothesis in words for each name of a gallery, which says what gave it, and the division as `read_notes`.

    Args:
        path: names.json of the gallery, or its directory.
        how: As in `read_notes`.

    Raises:
        InputError: As `read_names`.
    """
    found = read_names(Path(path))
    each = (_in_words(latent, name, named_by=found.named_by, **how) for latent, (name, _) in found.names.items())
    return Draft(tuple(each), sae=found.sae, shards=found.shards), None if found.half is None else Halves(*found.half)


def as_shown(shown: Halves | None, seed: int | None, group: Sequence[str] | None) -> Halves | None:
    """The division of which a gallery showed one half, where the options say nothing else; None without any.

    Args:
        shown: That division.
        seed: What the user says of it, if anything.
        group: Likewise.

    Raises:
        InputError: If the user says another one.
    """
    if shown is None:
        return None
    stated = Halves(shown.seed if seed is None else seed, shown.columns if group is None else tuple(group))
    if (stated.seed, set(stated.columns)) != (shown.seed, set(shown.columns)):
        raise InputError(
            f"they are from a gallery of the proposal half of seed {shown.seed}, group {list(shown.columns)}: "
            f"with seed {stated.seed}, group {list(stated.columns)} pictures that it showed would be in the test: "
            "leave both out"
        )
    return shown


def _in_words(latent: int, text: str, named_by: ClipId | None = None, **how: Any) -> Hypothesis:
    return Hypothesis(
        default_id([latent]), AttributeName("words", text), Latents((latent,)), text=text, named_by=named_by, **how
    )


def _with_thresholds(note: Note, where: str, tokens: TokenKind, count_above: float) -> Iterator[Hypothesis]:
    """What the page made of a latent, a label and a threshold."""
    given: Any = (note.more or {}).get("hypotheses", [])
    where = f"{where}: hypotheses of latent {note.latent}"
    if not isinstance(given, list) or len(given) > MAX_NOTED:
        raise InputError(f"{where}: expected a list of at most {MAX_NOTED}")
    for number, value in enumerate(given, 1):
        keys = ("text", "claim", "attribute", "threshold", "pooling", "set", "counts")
        found = JsonObject({"set": "", **value} if isinstance(value, dict) else value, where, keys)
        claim: Claim = found.choice("claim", get_args(Claim))  # type: ignore[assignment]
        pooling: Pooling = found.choice("pooling", get_args(Pooling))  # type: ignore[assignment]
        text = found.text("text")
        with located(where):
            yield Hypothesis(
                id=f"{default_id([note.latent])}-{number}",
                text=text,
                attribute=_attribute(value["attribute"], text, where),
                latents=Latents((note.latent,), (), (found.number("threshold"),)),
                tokens=tokens,
                pooling=pooling,
                count_above=count_above,
                claim=claim,
            )


def _attribute(value: object, text: str, where: str) -> AttributeName:
    """The label of a hypothesis; its words where the page knew no other name, as of starred pictures."""
    if value is None:
        return AttributeName("words", text)
    return from_json(AttributeName, value, f"{where}: attribute")
