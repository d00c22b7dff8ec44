"""The encoder's matrix product alone: what a step that finds its codes so cannot be faster than."""

import torch
from torch import Tensor

from peers.trainer import Options, Trainer


class Product(Trainer):
    """Nothing is trained."""

    def __init__(self, options: Options) -> None:
        dtype = getattr(torch, options.encoder)
        self.w_ds = torch.randn(options.d_sae, options.d_in, dtype=dtype, device=options.device).T
        self.out_bs = torch.empty(options.batch_size, options.d_sae, dtype=dtype, device=options.device)

    def step(self, x_bd: Tensor) -> None:
        torch.mm(x_bd.to(self.w_ds), self.w_ds, out=self.out_bs)

    def finish(self) -> None:
        raise NotImplementedError

    def encode(self, x_bd: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, f_bs: Tensor) -> Tensor:
        raise NotImplementedError

    def directions(self) -> Tensor:
        raise NotImplementedError


def make(options: Options, _: Tensor) -> Trainer:
    """The product of this shape."""
    return Product(options)
