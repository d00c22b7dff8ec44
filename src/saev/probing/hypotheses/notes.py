"""Hypotheses from the notes that the gallery's page exports."""

from pathlib import Path
from typing import Final

from saev.errors import InputError
from saev.files import read_regular
from saev.probing.hypotheses.file import Draft, Halves
from saev.probing.hypotheses.hypothesis import AttributeName, Hypothesis, Latents, default_id
from saev.probing.pictures.pooling import Pooling
from saev.shards.format.layout import TokenKind
from saev.shards.format.strict_json import JsonObject, located, parse_json

_MAX_BYTES: Final = 20_000_000  # as the page takes


def read_notes(
    path: str | Path, *, tokens: TokenKind = "content", pooling: Pooling = "max"
) -> tuple[Draft, Halves | None]:
    """Read exported notes: one hypothesis in words for each note with a text; thresholds are not chosen.

    Args:
        path: The file, see docs/files.md.
        tokens: Of which tokens the latents are.
        pooling: How the codes of a picture's tokens become one value.

    Returns:
        The hypotheses, and how the pictures were divided of which the gallery showed one half; None where it showed
        others, or does not say.

    Raises:
        InputError: If it cannot be read, has any mistake, or no note has a text.
    """
    where = str(path)
    value = parse_json(read_regular(path, _MAX_BYTES), where)
    if not isinstance(value, dict) or value.get("format") != "saev-notes" or value.get("version") != 1:
        raise InputError(f"{where} is no file of notes of version 1: export them in the gallery")
    value.setdefault("half", None)  # earlier galleries do not say it
    found = JsonObject(value, where, ("format", "version", "sae", "title", "half", "notes"))
    found.text("title")
    texts: dict[int, str] = {}
    for number, one in enumerate(found.array("notes")):
        note = JsonObject(one, f"{where}: notes[{number}]", ("latent", "star", "text"))
        note.boolean("star")
        latent = note.integer("latent")
        if latent in texts:
            raise InputError(f"{where}: notes[{number}] is a second one of latent {latent}")
        texts[latent] = note.text("text").strip()
    claims = {latent: text for latent, text in texts.items() if text}
    if not claims:
        raise InputError(
            f"{where}: none of its {len(texts)} notes has a text: write down what you think in the gallery"
        )
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
                for latent, text in claims.items()
            ),
            weights=found.text("sae"),
        )
        return draft, None if value["half"] is None else _halves(found.mapping("half"))


def _halves(value: object) -> Halves:
    half = JsonObject(value, "half", ("seed", "group"))
    return Halves(half.integer("seed"), tuple(half.texts("group")))
