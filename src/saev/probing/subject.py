"""What all commands of `saev probe` are given: an SAE and a recording, or their directories, and codes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

from saev.artifacts import load_sae
from saev.latents.codes import Codes, open_codes
from saev.latents.encode import encode, encodings_of
from saev.nn import SparseAutoencoder
from saev.probing.pictures.known import Known
from saev.shards.format.layout import TokenKind
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader


def loaded(sae: SparseAutoencoder | str | Path) -> SparseAutoencoder:
    """An SAE, or the one in a directory.

    Raises:
        InputError: As `load_sae`.
    """
    return sae if isinstance(sae, SparseAutoencoder) else load_sae(sae)


def opened(shards: ShardReader | str | Path, layer: int | None = None) -> ShardReader:
    """A recording, or the one in a directory; the layer matters for those of the original saev alone.

    Raises:
        InputError: As `open_shards`.
    """
    return shards if isinstance(shards, ShardReader) else open_shards(shards, layer)


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


@final
@dataclass(frozen=True)
class Subject:
    """An SAE and a recording that belong together."""

    sae: SparseAutoencoder
    reader: ShardReader
    known: Known  # What is known of its pictures.
    tokens: TokenKind  # Which tokens of a picture are encoded.
    saved: Codes | str | Path | None  # Codes that are there already, or their directory.
    device: str | None  # Where to encode without them.

    @cached_property
    def codes(self) -> Codes:
        """The saved codes, or new ones in memory.

        Raises:
            InputError: As `codes_of`.
        """
        return codes_of(self.sae, self.reader, self.saved, tokens=self.tokens, device=self.device)
