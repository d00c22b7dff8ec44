"""What hypotheses are about: an SAE, a recording, what is known of its pictures, and codes, once they are asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import final

from saev.latents.codes import Codes
from saev.nn import SparseAutoencoder
from saev.probing.given_codes import codes_of
from saev.probing.pictures.known import Known
from saev.shards.format.layout import TokenKind
from saev.shards.reading.reader import ShardReader


@final
@dataclass(frozen=True)
class Subject:
    """An SAE and a recording that belong together.

    Args:
        sae: The SAE.
        reader: The recording.
        known: What is known of its pictures.
        tokens: Which tokens of a picture are encoded.
        saved: Codes that are there already, or their directory.
        device: Where to encode without them.
    """

    sae: SparseAutoencoder
    reader: ShardReader
    known: Known
    tokens: TokenKind
    saved: Codes | str | Path | None
    device: str | None

    @cached_property
    def codes(self) -> Codes:
        """The saved codes, or new ones in memory.

        Raises:
            InputError: As `codes_of`.
        """
        return codes_of(self.sae, self.reader, self.saved, tokens=self.tokens, device=self.device)
