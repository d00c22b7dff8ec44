"""The original saev as its authors published it on the package index (0.1.0, ReLU only): the step of its `train`.

Included: unit-norm decoder, parallel-gradient removal, fused Adam, warm-up of the learning rate. It has no
normalisation of the input, AuxK, clipping or dead tracking.
"""

import importlib

import torch
from torch import Tensor

from peers.trainer import Options, Trainer


class OriginalSaev(Trainer):
    """ReLU with an L1 penalty."""

    def __init__(self, options: Options, x_nd: Tensor) -> None:
        assert options.d_sae % options.d_in == 0, "its d_sae is a multiple of d_in"
        config = importlib.import_module("saev.config").SparseAutoencoder(
            d_vit=options.d_in,
            exp_factor=options.d_sae // options.d_in,
            sparsity_coeff=options.coeff,
            n_reinit_samples=min(len(x_nd), 1024 * 16 * 32),
        )
        self.sae = importlib.import_module("saev.nn").SparseAutoencoder(config)
        self.sae.init_b_dec(x_nd)
        self.optimizer = torch.optim.Adam(self.sae.parameters(), lr=0.0, fused=True)
        self.lr, self.warmup, self.done = 4e-4 * options.lr_factor, min(500, max(1, options.n_steps // 10)), 0

    def step(self, x_bd: Tensor) -> None:
        self.sae.normalize_w_dec()
        self.sae(x_bd)[2].loss.backward()
        self.sae.remove_parallel_grads()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.done += 1
        self.optimizer.param_groups[0]["lr"] = self.lr * min(1.0, self.done / self.warmup)

    def finish(self) -> None:
        self.sae.normalize_w_dec()

    def encode(self, x_bd: Tensor) -> Tensor:
        codes: Tensor = self.sae(x_bd)[1]
        return codes

    def decode(self, f_bs: Tensor) -> Tensor:
        x_hat: Tensor = self.sae.decode(f_bs)
        return x_hat

    def directions(self) -> Tensor:
        w: Tensor = self.sae.W_dec
        return w


def make(options: Options, x_nd: Tensor) -> Trainer:
    """One of its SAEs."""
    return OriginalSaev(options, x_nd)
