"""sparsify (EleutherAI): the step of its `Trainer.fit`, whose own loop wants a language model.

Included: b_dec at the mean of the first batch, unit-norm decoder, FVU loss, parallel-gradient removal, schedule-free
Signum (or Adam on request), dead tracking. Left out by its defaults: AuxK (`auxk_alpha` 0, switched on by
`dead_after`), clipping, any normalisation of the input. On CUDA with its Triton kernels and under bfloat16 autocast.
"""

import os
from typing import Any

import torch
from torch import Tensor

from peers.trainer import Options, Trainer

if not torch.cuda.is_available():
    os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
from schedulefree import ScheduleFreeWrapper
from sparsify import SparseCoder, SparseCoderConfig
from sparsify.sign_sgd import SignSGD
from transformers import get_linear_schedule_with_warmup


class Sparsify(Trainer):
    """TopK with Signum, or with Adam."""

    def __init__(self, options: Options) -> None:
        torch.set_float32_matmul_precision("high")  # as its trainer does
        self.sae = SparseCoder(options.d_in, SparseCoderConfig(num_latents=options.d_sae, k=options.k), options.device)
        self.is_adam = options.optimizer == "adam"
        lr = options.lr_factor * (2e-4 if self.is_adam else 5e-3) / (options.d_sae / 2**14) ** 0.5
        self.optimizer: Any
        if self.is_adam:
            self.optimizer = torch.optim.Adam(self.sae.parameters(), lr=lr)
            warmup = min(1000, options.n_steps // 10)
            self.schedule = get_linear_schedule_with_warmup(self.optimizer, warmup, options.n_steps)
        else:
            self.optimizer = ScheduleFreeWrapper(SignSGD(self.sae.parameters(), lr=lr), momentum=0.95)
            self.optimizer.train()
        self.silent_s = torch.zeros(options.d_sae, dtype=torch.long, device=options.device)
        self.dead_after = options.dead_after
        self.started = False

    def step(self, x_bd: Tensor) -> None:
        if not self.started:
            self.sae.b_dec.data = x_bd.mean(0)
            self.started = True
        self.sae.set_decoder_norm_to_unit_norm()
        out = self.sae(x_bd, dead_mask=self.silent_s > self.dead_after if self.dead_after else None)
        fired_s = torch.zeros_like(self.silent_s, dtype=torch.bool)
        fired_s[out.latent_indices.flatten()] = True
        (out.fvu + out.auxk_loss / 32).backward()
        self.sae.remove_gradient_parallel_to_decoder_directions()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.is_adam:
            self.schedule.step()
        self.silent_s += len(x_bd)
        self.silent_s[fired_s] = 0

    def finish(self) -> None:
        if not self.is_adam:
            self.optimizer.eval()

    def encode(self, x_bd: Tensor) -> Tensor:
        top, indices, dense = self.sae.encode(x_bd)
        codes: Tensor = torch.zeros_like(dense).scatter(-1, indices, top)
        return codes

    def decode(self, f_bs: Tensor) -> Tensor:
        x_hat: Tensor = f_bs @ self.sae.W_dec + self.sae.b_dec
        return x_hat

    def directions(self) -> Tensor:
        w: Tensor = self.sae.W_dec
        return w


def make(options: Options, _: Tensor) -> Trainer:
    """One of its SAEs."""
    return Sparsify(options)
