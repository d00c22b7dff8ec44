"""Facts that are needed to put an SAE into its ViT, given by a caller where the SAE does not say them itself."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

from saev.errors import InputError, tell

if TYPE_CHECKING:
    from saev.artifacts import Provenance
    from saev.shards.format.layout import TokenKind
    from saev.shards.reading.reader import ShardReader


@final
@dataclass(frozen=True)
class GivenVit:
    """What a caller says of an SAE's ViT. None says nothing.

    Args:
        family: family of the ViT, as for `saev predict`, where neither the SAE nor --shards says it
        ckpt: name of the ViT, as for `saev predict`, where neither the SAE nor --shards says it
        layer: block whose output the SAE takes, from 0, where neither the SAE nor --shards says it
    """

    family: str | None = None
    ckpt: str | None = None
    layer: int | None = None


NOTHING_GIVEN = GivenVit()


def with_given(
    provenance: "Provenance",
    model: GivenVit,
    tokens: "TokenKind | None",
    reader: "ShardReader | None",
    tokens_option: str = "--tokens",
) -> "Provenance":
    """What an SAE says, completed by what is given and then by shards. A line says what is assumed.

    Args:
        tokens_option: What the command calls `tokens`.

    Raises:
        InputError: If what is given or the shards say something else than the SAE does.
    """
    # Here and not above: the help of commands, which shows the fields of `GivenVit`, answers without torch.
    from saev.artifacts import RecordedLayer
    from saev.artifacts.comparable import completed_by

    given = RecordedLayer(family=model.family, ckpt=model.ckpt, layer=model.layer)
    known = provenance.one_layer
    for name, option in (("family", model.family), ("ckpt", model.ckpt), ("layer", model.layer)):
        if None not in (option, found := getattr(known, name)) and option != found:
            raise InputError(f"--model.{name} {option}: the SAE was trained on {found}: leave it out")
    if None not in (tokens, provenance.tokens) and tokens != provenance.tokens:
        raise InputError(f"{tokens_option} {tokens}: the SAE was trained on {provenance.tokens} tokens: leave it out")
    provenance = replace(provenance, layers=(known.completed(given),), tokens=provenance.tokens or tokens)
    if reader is not None:
        provenance = completed_by(provenance, [reader])
    if provenance.tokens is None:
        tell(f"the SAE does not say which tokens it takes: content, the patches, are taken ({tokens_option})")
    return replace(provenance, tokens=provenance.tokens or "content")
