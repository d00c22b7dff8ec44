"""Whether the numbers of an SAE on some shards mean anything."""

from collections.abc import Sequence
from functools import reduce

import numpy as np

from saev.artifacts import About, check_same_activations
from saev.datamodules import ShardDataModule
from saev.errors import InputError, tell
from saev.ranges import Ints
from saev.shards.tokens import TokenSelection


def check_comparable(abouts: Sequence[About], data: ShardDataModule, command: str) -> None:
    """Compare what SAEs were trained on with what they are to be evaluated on, and leave out what trained them.

    Args:
        abouts: What each SAE was trained on.
        data: The shards; where they trained an SAE, the images that were held out are tested alone.
        command: "test", "validate" or "render", which shows what trained the SAEs, too.

    Raises:
        InputError: Where numbers would mean nothing: other activations, or images that trained an SAE.
    """
    for about in abouts:
        if data.token_kind != about.tokens:
            raise InputError(f"the SAE was trained on {about.tokens} tokens, --data.tokens is {data.token_kind}")
    selections = data.val_tokens if command == "validate" else data.test_tokens
    if not selections:
        raise InputError("no images were held out of training (val_share): give --data.val_shards")
    for number, tokens in enumerate(list(selections)):
        for about in abouts:
            _check_layers(about, tokens)
        held_out = None if command == "render" else _held_out_of_all(abouts, tokens)
        if held_out is None:
            continue
        if not len(held_out):
            raise InputError(f"{tokens.reader.path} trained the SAE and no images were held out: give other shards")
        if command == "test":
            tell(f"{tokens.reader.path} trained the SAE: testing on the images that were held out")
            data.test_only(number, held_out)
        elif not np.isin(tokens.examples, held_out).all():
            raise InputError("--data.seed and --data.val_share choose images that trained the SAE: leave them out")


def _check_layers(about: About, tokens: TokenSelection) -> None:
    before = [str(config["layer"]) for config in about.layers]
    now = [str(reader.manifest.recording.layer) for reader in tokens.readers]
    if len(before) != len(now):
        raise InputError(
            f"the SAE was trained on layer {' + '.join(before)}, {tokens.paths} gives {' + '.join(now)}: "
            "give the same layers, with --data.paired"
        )
    for trained, reader in zip(about.layers, tokens.readers, strict=True):
        check_same_activations(trained, reader.manifest.config, str(reader.path))


def _held_out_of_all(abouts: Sequence[About], tokens: TokenSelection) -> Ints | None:
    """The images that were held out for all SAEs that the directory trained; None if it trained none."""
    found = [images for about in abouts if (images := _held_out(about, tokens)) is not None]
    return reduce(np.intersect1d, found) if found else None


def _held_out(about: About, tokens: TokenSelection) -> Ints | None:
    """The images that were held out if the directory trained the SAE, otherwise None.

    Not from the command line: another seed or share would call images that trained the SAE held out.
    """
    for one in about.data:
        if one.content_id == tokens.reader.manifest.content_id:
            return one.held_out.images(tokens.reader.n_examples)
    return None
