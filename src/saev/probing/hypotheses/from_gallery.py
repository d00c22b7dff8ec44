"""Hypotheses from what a gallery has of latents: notes of people, and names that a CLIP gave."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from saev.errors import InputError
from saev.latents.naming.names_file import read_names
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents, default_id
from saev.probing.hypotheses.notes import read_notes
from saev.probing.pictures.pooling import Pooling
from saev.shards.format.layout import TokenKind


def noted_in_gallery(
    notes: str | Path | None, names: str | Path | None, *, tokens: TokenKind, pooling: Pooling, count_above: float
) -> tuple[Draft | None, Halves | None]:
    """The hypotheses that notes or names are, and the division of which the gallery showed one half.

    Args:
        notes: Exported notes.
        names: names.json of a gallery, or its directory; notes are not read then.
        tokens: Of which tokens the latents are.
        pooling: How the codes of a picture's tokens become one value.
        count_above: As `Hypothesis` has it.

    Returns:
        Both; None for both where there are neither notes nor names, and no division where the gallery showed pictures
        of both halves, or does not say.

    Raises:
        InputError: As `read_notes`, and `read_names`.
    """
    if names is not None:
        read, shown = _of_names(Path(names), tokens, pooling)
    elif notes is not None:
        read, shown = read_notes(notes, tokens=tokens, pooling=pooling)
    else:
        return None, None
    return replace(read, hypotheses=tuple(replace(one, count_above=count_above) for one in read.hypotheses)), shown


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


def _of_names(path: Path, tokens: TokenKind, pooling: Pooling) -> tuple[Draft, Halves | None]:
    """One hypothesis in words for each name, which says what gave it."""
    found = read_names(path)
    hypotheses = tuple(
        Hypothesis(
            id=default_id([latent]),
            text=name,
            attribute=AttributeName("words", name),
            latents=Latents((latent,)),
            tokens=tokens,
            pooling=pooling,
            named_by=found.named_by,
        )
        for latent, (name, _) in found.names.items()
    )
    return Draft(hypotheses, sae=found.sae, shards=found.shards), None if found.half is None else Halves(*found.half)
