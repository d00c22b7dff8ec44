"""Text towers that look back alone: what follows the token that is pooled need not be computed.

Prompts of a few words fill a tenth of a CLIP's 77 positions. In a causal tower no position sees those behind it, so
that the pooled one is the same without them. SigLIP's towers, CoCa's, and those of other packages are not of that kind.

Shape suffixes: n = texts, t = positions, e = width of the common space.
"""

from typing import Any

import open_clip
import torch
from open_clip.transformer import TextTransformer
from torch import Tensor, nn
from torch.func import functional_call

_POOLED = ("argmax", "eos")


def encode_text(model: Any, tokens_nt: Tensor) -> Tensor:
    """What open_clip's own `encode_text` gives (n, e), but for their lengths, from as many positions as it takes.

    Args:
        model: A CLIP of open_clip with a text tower.
        tokens_nt: Numbers of tokens, padded to the model's context.
    """
    tower: Any = model if isinstance(model, open_clip.CLIP) else model.text
    n = _n_positions(tower, tokens_nt)
    if n is None or n >= tokens_nt.shape[1]:
        embedded: Tensor = model.encode_text(tokens_nt)
        return embedded
    cut = {"positional_embedding": tower.positional_embedding[:n], "attn_mask": tower.attn_mask[:n, :n]}
    texts = tokens_nt[:, :n]
    if tower is model:
        given: Tensor = functional_call(model, cut, (None, texts))[1]
        return given
    pooled: Tensor = functional_call(tower, cut, (texts,))
    return pooled


def _n_positions(tower: nn.Module, tokens_nt: Tensor) -> int | None:
    """How many positions the pooled token of each text takes; None for a tower that needs them all."""
    own: Any = tower
    if isinstance(tower, open_clip.CLIP):
        pool, eos = own.text_pool_type, own.text_eos_id
    elif isinstance(tower, TextTransformer) and own.cls_emb is None and not own.use_pad_mask and not own.output_tokens:
        pool, eos = own.pool_type, own.eos_id
    else:
        return None
    if pool not in _POOLED or not _is_causal(own.attn_mask, tokens_nt.shape[1]):
        return None
    places_n = tokens_nt.argmax(-1) if pool == "argmax" else (tokens_nt == eos).int().argmax(-1)
    return int(places_n.max()) + 1


def _is_causal(mask: Tensor | None, n: int) -> bool:
    """Whether an additive mask hides from each position all that follow, and nothing else."""
    return mask is not None and torch.equal(mask, torch.full_like(mask, float("-inf")).triu(1)) and len(mask) == n
