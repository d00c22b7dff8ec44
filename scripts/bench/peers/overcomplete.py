"""Overcomplete: its `train_sae`, one batch at a time, without monitoring.

Included: its default encoder, unit-norm dictionary, clipping, dead tracking, Adam, as in the example of its README
(mean squared error, lr 5e-4). Left out there: AuxK, parallel-gradient removal, normalisation of the input, schedules.
"""

from functools import partial
from typing import Any

import torch
from overcomplete.sae import SAE, BatchTopKSAE, JumpSAE, TopKSAE, train_sae
from overcomplete.sae.losses import mse_l1
from torch import Tensor

from peers.trainer import Options, Trainer


def squared_error(x: Tensor, x_hat: Tensor, *_: Any) -> Tensor:
    return (x - x_hat).square().mean()


class Overcomplete(Trainer):
    """Any of its architectures."""

    def __init__(self, options: Options) -> None:
        d_in, d_sae = options.d_in, options.d_sae
        penalised = partial(mse_l1, penalty=options.coeff)
        kinds: dict[str, Any] = {
            "topk": lambda: (TopKSAE(d_in, d_sae, top_k=options.k), squared_error),
            "batchtopk": lambda: (BatchTopKSAE(d_in, d_sae, top_k=options.k * options.batch_size), squared_error),
            "relu": lambda: (SAE(d_in, d_sae), penalised),
            "jumprelu": lambda: (JumpSAE(d_in, d_sae), penalised),
        }
        self.sae, self.criterion = kinds[options.architecture]()
        self.optimizer = torch.optim.Adam(self.sae.parameters(), lr=5e-4 * options.lr_factor)

    def step(self, x_bd: Tensor) -> None:
        train_sae(self.sae, [x_bd], self.criterion, self.optimizer, nb_epochs=1, monitoring=0)

    def finish(self) -> None:
        self.sae.eval()

    def encode(self, x_bd: Tensor) -> Tensor:
        codes: Tensor = self.sae.encode(x_bd)[1]
        return codes

    def decode(self, f_bs: Tensor) -> Tensor:
        x_hat: Tensor = self.sae.decode(f_bs)
        return x_hat

    def directions(self) -> Tensor:
        w: Tensor = self.sae.get_dictionary()
        return w


def make(options: Options, _: Tensor) -> Trainer:
    """One of its SAEs."""
    return Overcomplete(options)
