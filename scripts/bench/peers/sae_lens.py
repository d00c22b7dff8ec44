"""SAELens: its `SAETrainer.step` and training SAEs.

Included: scaling of the input, clipping, dead tracking and firing frequencies, AuxK, Adam, warm-up over a tenth and
decay over the last fifth of the run. Its SAEs divide by the decoder norms in the forward pass instead of a unit-norm
decoder with parallel-gradient removal. Its dead window of 1,000 steps is shortened to a tenth of runs below 10,000.
"""

from collections.abc import Iterator
from itertools import cycle
from typing import Any

import torch
from sae_lens import (
    BatchTopKTrainingSAE,
    BatchTopKTrainingSAEConfig,
    GatedTrainingSAE,
    GatedTrainingSAEConfig,
    JumpReLUTrainingSAE,
    JumpReLUTrainingSAEConfig,
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
    StandardTrainingSAE,
    StandardTrainingSAEConfig,
    TopKTrainingSAE,
    TopKTrainingSAEConfig,
)
from sae_lens.config import SAETrainerConfig
from sae_lens.training.sae_trainer import SAETrainer
from torch import Tensor

from peers.trainer import Options, Trainer


def build(options: Options) -> Any:
    common = {"d_in": options.d_in, "d_sae": options.d_sae, "normalize_activations": "expected_average_only_in"}
    warmup = options.n_steps // 10
    match options.architecture:
        case "topk":
            return TopKTrainingSAE(TopKTrainingSAEConfig(k=options.k, **common))
        case "batchtopk":
            return BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=options.k, **common))
        case "matryoshka":
            config = MatryoshkaBatchTopKTrainingSAEConfig(k=options.k, matryoshka_widths=options.prefixes, **common)
            return MatryoshkaBatchTopKTrainingSAE(config)
        case "relu":
            standard = StandardTrainingSAEConfig(l1_coefficient=options.coeff, l1_warm_up_steps=warmup, **common)
            return StandardTrainingSAE(standard)
        case "jumprelu":
            jump = JumpReLUTrainingSAEConfig(l0_coefficient=options.coeff, l0_warm_up_steps=warmup, **common)
            return JumpReLUTrainingSAE(jump)
        case _:
            gated = GatedTrainingSAEConfig(l1_coefficient=options.coeff, l1_warm_up_steps=warmup, **common)
            return GatedTrainingSAE(gated)


class SAELens(Trainer):
    """Any of its architectures."""

    def __init__(self, options: Options, x_nd: Tensor) -> None:
        self.sae = build(options)
        window = options.dead_after // options.batch_size or min(1000, max(1, options.n_steps // 10))
        config = SAETrainerConfig(
            total_training_samples=options.n_steps * options.batch_size,
            train_batch_size_samples=options.batch_size,
            lr=3e-4 * options.lr_factor,
            lr_end=3e-5 * options.lr_factor,  # a tenth, as its runner sets it
            lr_warm_up_steps=options.n_steps // 10,
            lr_decay_steps=options.n_steps // 5,
            autocast=options.encoder == "bfloat16",
            dead_feature_window=window,
            n_batches_for_norm_estimate=8,
        )
        data: Iterator[Tensor] = cycle(torch.split(x_nd, options.batch_size)[:8])
        self.trainer = SAETrainer(config, self.sae, data)
        self.trainer.activation_scaler.estimate_scaling_factor(options.d_in, data, 8)

    def step(self, x_bd: Tensor) -> None:
        self.trainer.step(x_bd)
        self.trainer.n_training_steps += 1  # as its loop does

    def finish(self) -> None:
        self.sae.fold_activation_norm_scaling_factor(self.trainer.activation_scaler.scaling_factor)
        self.sae.eval()

    def encode(self, x_bd: Tensor) -> Tensor:
        if not hasattr(self.sae, "topk_threshold"):
            codes: Tensor = self.sae.encode(x_bd)
            return codes
        _, h_bs = self.sae.encode_with_hidden_pre(x_bd)
        kept: Tensor = h_bs * (h_bs > self.sae.topk_threshold)  # a BatchTopK SAE is saved as a JumpReLU one
        return kept

    def decode(self, f_bs: Tensor) -> Tensor:
        x_hat: Tensor = self.sae.decode(f_bs)
        return x_hat

    def directions(self) -> Tensor:
        w: Tensor = self.sae.W_dec
        return w


def make(options: Options, x_nd: Tensor) -> Trainer:
    """One of its SAEs."""
    return SAELens(options, x_nd)
