"""The codes of an SAE on a recording: saved ones that belong to both, or new ones."""

from pathlib import Path

from saev.latents.codes import Codes, open_codes
from saev.latents.encode import encode, encodings_of
from saev.nn import SparseAutoencoder
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader


def codes_of(
    sae: SparseAutoencoder,
    reader: ShardReader,
    codes: Codes | str | Path | None = None,
    out: Path | None = None,
    *,
    tokens: TokenKind | None = None,
    device: str | None = None,
) -> Codes:
    """The codes that are given, after a check of whose they are; without them, those that are encoded now.

    Args:
        sae: The SAE.
        reader: The recording.
        codes: Saved codes, or their directory.
        out: Where new codes are saved; by default they stay in memory.
        tokens: Which tokens; by default those of the codes or of the SAE.
        device: Where to encode.

    Raises:
        InputError: If the codes are of another SAE, recording or tokens, and as `saev.encode`.
    """
    if codes is None:
        return encode(sae, reader, out, tokens=tokens, device=device)
    found = codes if isinstance(codes, Codes) else open_codes(codes)
    with encodings_of({"": sae}, reader, None, tokens or found.origin.tokens, "cpu") as encodings:
        found.check(encodings[""].sae, encodings[""].tokens)
    return found
