"""Whether the numbers of an SAE on some shards mean anything, and on which of their images."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from saev.artifacts.provenance import Provenance, RecordedLayer
from saev.errors import InputError, tell
from saev.ranges import Ints
from saev.shards.reading.reader import ShardReader


def completed_by(provenance: Provenance, readers: Sequence[ShardReader], tokens: str | None = None) -> Provenance:
    """Compare where an SAE comes from with shards. What it does not say is what the shards say, and a line says so.

    Args:
        readers: The shards: one directory for each layer of a token.
        tokens: Which tokens of them; None compares no tokens.

    Returns:
        The provenance with all that the shards know.

    Raises:
        InputError: Where numbers would mean nothing: another ViT, layer, preprocessing or other tokens. Names both.
    """
    if None not in (tokens, provenance.tokens) and tokens != provenance.tokens:
        raise InputError(f"the SAE was trained on {provenance.tokens} tokens, --data.tokens is {tokens}")
    paths = " + ".join(str(reader.path) for reader in readers)
    found = [RecordedLayer.of(reader.recording) for reader in readers]
    own = provenance.layers or [RecordedLayer()] * len(found)
    if len(own) != len(found):
        before, now = (" + ".join(str(layer.layer) for layer in layers) for layers in (own, found))
        raise InputError(
            f"the SAE was trained on layer {before}, {paths} gives {now}: give the same layers, with --data.paired"
        )
    for known, given, reader in zip(own, found, readers, strict=True):
        known.check_same(given, str(reader.path))
    layers = [known.completed(given) for known, given in zip(own, found, strict=True)]
    taken = [
        name
        for name in own[0].missing()
        if any(getattr(known, name) != getattr(now, name) for known, now in zip(own, layers, strict=True))
    ]
    if provenance.tokens is None and tokens is not None:
        taken.append(f"tokens ({tokens})")
    if taken:
        tell(f"the SAE does not say {', '.join(taken)}: taken from {paths}")
    return replace(provenance, layers=layers, tokens=provenance.tokens or tokens)


def held_out_for(provenances: Iterable[Provenance], reader: ShardReader) -> Ints | None:
    """The images, ascending, that were held out for all SAEs that some shards trained; None if they trained none.

    Not from the command line: another seed or share would call images that trained an SAE held out.

    Raises:
        InputError: If an SAE says of more images than there are that they were held out.
    """
    found = [
        one.held_out.images(reader.n_examples)
        for provenance in provenances
        for one in provenance.data
        if one.content_id == reader.recording.content_id
    ]
    return reduce(np.intersect1d, found) if found else None
