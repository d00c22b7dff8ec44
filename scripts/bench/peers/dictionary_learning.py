"""dictionary_learning: `update` of its trainers.

Included: scaling of the input to mean squared norm 1, b_dec at the geometric median, AuxK (never reached below 10M
tokens), dead tracking, parallel-gradient removal, clipping, unit-norm decoder, Adam; its ReLU and Gated trainers have
no AuxK, clipping or dead tracking. Warm-ups of 1,000 and 2,000 steps are a tenth and a fifth of shorter runs, the
learning rate falls over the last fifth, and the threshold of BatchTopK is followed from the middle of the run on.
"""

from typing import Any

import torch
from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
from dictionary_learning.trainers.gdm import GatedSAETrainer
from dictionary_learning.trainers.jumprelu import JumpReluTrainer
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
from dictionary_learning.trainers.standard import StandardTrainer
from dictionary_learning.trainers.top_k import TopKTrainer
from torch import Tensor

from peers.trainer import Options, Trainer

FIXED_LR = {"relu": 1e-3, "jumprelu": 7e-5, "gated": 5e-5}


def build(options: Options) -> Any:
    name, n_steps, d_sae = options.architecture, options.n_steps, options.d_sae
    lr = options.lr_factor * FIXED_LR.get(name, 2e-4 / (d_sae / 2**14) ** 0.5)
    common = {"steps": n_steps, "activation_dim": options.d_in, "dict_size": d_sae, "layer": 0, "lm_name": "vit"}
    common |= {"lr": lr, "warmup_steps": min(1000, n_steps // 10), "decay_start": n_steps * 4 // 5}
    common |= {"seed": options.seed, "device": "cpu"}
    top = {"k": options.k, "threshold_start_step": min(1000, n_steps // 2), "threshold_beta": 0.99}
    sparsity = {"sparsity_warmup_steps": min(2000, n_steps // 5)}
    match name:
        case "topk":
            return TopKTrainer(**common, **top)
        case "batchtopk":
            return BatchTopKTrainer(**common, **top)
        case "matryoshka":
            ends = options.prefixes
            parts = [(end - start) / d_sae for start, end in zip([0, *ends], ends, strict=False)]
            return MatryoshkaBatchTopKTrainer(**common, **top, group_fractions=parts)
        case "relu":
            return StandardTrainer(**common, **sparsity, l1_penalty=options.coeff)
        case "jumprelu":
            return JumpReluTrainer(**common, **sparsity, target_l0=options.k, sparsity_penalty=options.coeff)
        case _:
            return GatedSAETrainer(**common, **sparsity, l1_penalty=options.coeff)


class DictionaryLearning(Trainer):
    """Any of its architectures."""

    def __init__(self, options: Options, x_nd: Tensor) -> None:
        self.trainer = build(options)
        if options.dead_after:
            self.trainer.dead_feature_threshold = options.dead_after
        self.norm = float(x_nd[:65_536].square().sum(-1).mean().sqrt())
        self.autocast = torch.autocast("cpu", torch.bfloat16, enabled=options.encoder == "bfloat16")
        self.done = 0

    def step(self, x_bd: Tensor) -> None:
        with self.autocast:
            self.trainer.update(self.done, x_bd / self.norm)
        self.done += 1

    def finish(self) -> None:
        self.trainer.ae.scale_biases(self.norm)

    def encode(self, x_bd: Tensor) -> Tensor:
        codes: Tensor = self.trainer.ae.encode(x_bd)
        return codes

    def decode(self, f_bs: Tensor) -> Tensor:
        x_hat: Tensor = self.trainer.ae.decode(f_bs)
        return x_hat

    def directions(self) -> Tensor:
        ae = self.trainer.ae
        w: Tensor = ae.W_dec if hasattr(ae, "W_dec") else ae.decoder.weight.T
        return w


def make(options: Options, x_nd: Tensor) -> Trainer:
    """One of its SAEs."""
    return DictionaryLearning(options, x_nd)
