"""The values of latents on pictures, pooled as a hypothesis says."""

from scipy.sparse import csc_array

from saev.errors import InputError
from saev.latents.code_files import Origin
from saev.latents.codes import Codes
from saev.latents.encoding import Images
from saev.probing.hypotheses.hypothesis import Hypothesis
from saev.probing.pictures.pooled import pooled
from saev.shards.format.layout import TokenKind


def pooled_for(
    codes: Codes, hypothesis: Hypothesis, images: Images, latents: Images | None = None, *, progress: bool = False
) -> csc_array:
    """The values (i, l) of latents on pictures, pooled over the tokens of a hypothesis as it says.

    Args:
        codes: Of the pictures.
        hypothesis: Says which tokens and how they are pooled.
        images: (i,) numbers of pictures, ascending.
        latents: (l,) which; by default all.
        progress: Whether to show a progress bar.

    Raises:
        InputError: If the tokens are not encoded, or a file of codes is damaged.
    """
    return pooled(
        codes,
        images,
        hypothesis.pooling,
        hypothesis.count_above,
        latents,
        positions=_positions(codes.origin, hypothesis.tokens),
        progress=progress,
    )


def _positions(origin: Origin, tokens: TokenKind) -> range:
    """Where tokens of a kind stand among those that are encoded."""
    own, wanted = origin.layout.positions(origin.tokens), origin.layout.positions(tokens)
    if wanted.start < own.start or wanted.stop > own.stop:
        raise InputError(
            f"the codes are of {origin.tokens} tokens, a hypothesis is on {tokens}: give codes of these, which "
            "`saev encode --tokens` makes"
        )
    return range(wanted.start - own.start, wanted.stop - own.start)
