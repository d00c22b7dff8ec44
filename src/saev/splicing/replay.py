"""Many passes of one batch through a ViT whose first blocks are computed once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from saev.vit.backbone import Backbone


@contextmanager
def computed_once(backbone: Backbone, layer: int) -> Iterator[None]:
    """Within the block, the blocks up to a layer compute in the first pass alone, and give the same in all later ones.

    All passes must be of one batch, which is not checked. Later blocks get the very same numbers as without this, so
    that a pass without a change gives the same output bit for bit.

    Args:
        layer: The last block that is computed once, from 0. Hooks on it, and so an SAE that is attached to it, run in
            each pass.
    """
    blocks = [backbone.block(number) for number in range(layer + 1)]
    earlier = [vars(block).get("forward") for block in blocks]
    try:
        for block in blocks:
            vars(block)["forward"] = _once(block.forward)
        yield
    finally:
        for block, own in zip(blocks, earlier, strict=True):
            del vars(block)["forward"]
            if own is not None:
                vars(block)["forward"] = own


def _once(forward: Callable[..., Any]) -> Callable[..., Any]:
    kept: list[Any] = []

    def run(*given: Any, **named: Any) -> Any:
        if not kept:
            kept.append(forward(*given, **named))
        return kept[0]

    return run


@contextmanager
def last_tokens(backbone: Backbone) -> Iterator[list[Tensor]]:
    """Within the block, each pass adds the output (b, t, d) of the last block, changes in it included, to a list.

    An SAE that is attached to the last block must be attached before.
    """
    found: list[Tensor] = []

    def keep(_block: object, _inputs: object, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    handle = backbone.block(backbone.n_layers - 1).register_forward_hook(keep)
    try:
        yield found
    finally:
        handle.remove()
