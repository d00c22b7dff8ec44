"""Gradients that were computed before the backward pass."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override


def with_gradients(loss: Tensor, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """A loss of this value whose backward pass gives the parameters these gradients.

    So each of several SAEs can free what it computed before the next one begins, and the trainer, DDP included, still
    sees one loss and one backward pass. The loss must not be scaled afterwards.
    """
    found: Tensor = _Precomputed.apply(loss, list(gradients), *parameters)
    return found


class _Precomputed(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, loss: Tensor, gradients: list[Tensor], *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.detach().clone()

    @staticmethod
    @override
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None
        return None, None, *gradients
