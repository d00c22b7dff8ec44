"""Facts about an SAE that a command line gives, where the SAE does not say them itself."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser, Namespace

from saev.errors import InputError, tell

if TYPE_CHECKING:
    from saev.artifacts import Provenance
    from saev.shards.reading.reader import ShardReader

_WHERE = ", where neither the SAE nor --shards says it"


def add_facts(parser: ArgumentParser) -> None:
    """Add an option for each fact that is needed to put an SAE into its ViT."""
    parser.add_argument(
        "--model.family", type=str | None, default=None, help=f"family of the ViT, as for `saev predict`{_WHERE}"
    )
    parser.add_argument(
        "--model.ckpt", type=str | None, default=None, help=f"name of the ViT, as for `saev predict`{_WHERE}"
    )
    parser.add_argument(
        "--model.layer", type=int | None, default=None, help=f"block whose output the SAE takes, from 0{_WHERE}"
    )
    parser.add_argument(
        "--tokens",
        type=Literal["content", "cls", "registers", "all"] | None,
        default=None,
        help="tokens that the SAE takes, where it does not say it itself; by default content, the patches",
    )


def with_given(provenance: "Provenance", options: Namespace, reader: "ShardReader | None") -> "Provenance":
    """What an SAE says, completed by the command line and then by shards. A line says what is assumed.

    Args:
        provenance: What is known of the SAE.
        options: Those of `add_facts`.
        reader: The shards, if there are any.

    Raises:
        InputError: If the command line or the shards say something else than the SAE does.
    """
    from saev.artifacts import RecordedLayer
    from saev.artifacts.comparable import completed_by

    model = options.model
    given = RecordedLayer(family=model.family, ckpt=model.ckpt, layer=model.layer)
    known = provenance.one_layer
    for name, option in (("family", model.family), ("ckpt", model.ckpt), ("layer", model.layer)):
        if None not in (option, found := getattr(known, name)) and option != found:
            raise InputError(f"--model.{name} {option}: the SAE was trained on {found}: leave it out")
    if None not in (options.tokens, provenance.tokens) and options.tokens != provenance.tokens:
        raise InputError(f"--tokens {options.tokens}: the SAE was trained on {provenance.tokens} tokens: leave it out")
    provenance = replace(provenance, layers=(known.completed(given),), tokens=provenance.tokens or options.tokens)
    if reader is not None:
        provenance = completed_by(provenance, [reader])
    if provenance.tokens is None:
        tell("the SAE does not say which tokens it takes: content, the patches, are taken (--tokens)")
    return replace(provenance, tokens=provenance.tokens or "content")
