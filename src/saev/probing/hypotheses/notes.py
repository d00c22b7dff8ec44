"""Hypotheses from the notes on latents that the gallery's page writes."""

from pathlib import Path

from saev.artifacts import RunDirectory
from saev.errors import InputError, tell
from saev.latents.notes_file import read_notes_file
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents, default_id
from saev.probing.pictures.pooling import Pooling
from saev.shards.format.layout import TokenKind
from saev.shards.format.strict_json import located


def notes_of_run(sae: str | Path) -> Path | None:
    """The notes that `saev view` wrote on an SAE in its run; None where it lies in no run, or has none.

    Args:
        sae: Directory of the SAE: RUN/saes/NAME.
    """
    place = Path(sae).absolute()
    path = RunDirectory(place.parent.parent).notes(place.name)
    return path if place.parent.name == RunDirectory(place).saes.name and path.is_file() else None


def read_notes(
    path: str | Path, *, tokens: TokenKind = "content", pooling: Pooling = "max"
) -> tuple[Draft, Halves | None]:
    """Read notes: one hypothesis in words for each with a claim or a text; thresholds are not chosen.

    The claim is what is tested, the text where there is none. Claims that the notes call refuted are left out, and a
    line says so.

    Args:
        path: The file, see docs/files.md.
        tokens: Of which tokens the latents are.
        pooling: How the codes of a picture's tokens become one value.

    Returns:
        The hypotheses, and how the pictures were divided of which the gallery showed one half; None where it showed
        others, or does not say.

    Raises:
        InputError: If it cannot be read, has any mistake, or no note has a claim or a text.
    """
    where = str(path)
    found = read_notes_file(path)
    claims = {note.latent: (note.claim.strip() or note.text.strip(), note.verdict) for note in found.notes}
    refuted = [latent for latent, (claim, verdict) in claims.items() if claim and verdict == "refuted"]
    kept = {latent: claim for latent, (claim, verdict) in claims.items() if claim and verdict != "refuted"}
    if not kept:
        others = f" that is not refuted ({len(refuted)} are)" if refuted else ""
        raise InputError(
            f"{where}: none of its {len(claims)} notes has a claim or a text{others}: write down what you think in the "
            "gallery"
        )
    if refuted:
        said = ", ".join(map(str, refuted[:10])) + (", ..." if len(refuted) > 10 else "")
        tell(f"{where}: its notes call {len(refuted)} refuted, which are left out: latents {said}")
    with located(where):
        draft = Draft(
            tuple(
                Hypothesis(
                    id=default_id([latent]),
                    text=text,
                    attribute=AttributeName("words", text),
                    latents=Latents((latent,)),
                    tokens=tokens,
                    pooling=pooling,
                )
                for latent, text in kept.items()
            ),
            weights=found.sae,
        )
    return draft, None if found.half is None else Halves(*found.half)
