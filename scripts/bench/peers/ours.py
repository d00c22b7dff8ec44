"""This project: the calls of `saev.training.fit` in their order.

Included: centring and scaling, start from data points, AuxK, restarts of dead latents, dead tracking,
parallel-gradient removal, clipping where it is asked for (off by default), unit-norm decoder, Adam, warm-up and decay.
`bfloat16` is autocast, as with `--trainer.precision bf16-mixed`.
"""

import torch
from torch import Tensor

from peers.trainer import DENSE, Options, Trainer
from saev.memory import keep_freed_memory
from saev.nn import ARCHITECTURES, Progress, SparseAutoencoder
from saev.training.fit import JointTraining
from saev.training.options import TrainingOptions
from saev.training.state import SaeInTraining

CLASSES = {"topk": "TopK", "batchtopk": "BatchTopK", "matryoshka": "Matryoshka", "relu": "ReLU", "sweep": "TopK"}
CLASSES |= {"jumprelu": "JumpReLU", "gated": "Gated"}
COEFF = {"relu": "l1_coeff", "jumprelu": "l0_coeff", "gated": "l1_coeff"}
N_SWEPT = 4


def member(options: Options, seed: int) -> SaeInTraining:
    """An SAE with the weights of a seed, and its training."""
    torch.manual_seed(seed)
    name = options.architecture
    special = {COEFF[name]: options.coeff} if name in DENSE else {"k": options.k}
    sae: SparseAutoencoder = ARCHITECTURES[CLASSES[name]](options.d_in, d_sae=options.d_sae, **special)
    training = TrainingOptions(seed=seed, lr=sae.peak_lr * options.lr_factor, dead_after=options.dead_after or None)
    return SaeInTraining(str(seed), sae, training).to(options.device)


class Ours(Trainer):
    """One SAE with the default spec, or four in one step."""

    def __init__(self, options: Options, x_nd: Tensor) -> None:
        n = N_SWEPT if options.architecture == "sweep" else 1
        self.options, self.done = options, 0
        keep_freed_memory()
        self.training = JointTraining([member(options, options.seed + i) for i in range(n)])
        self.training.start(lambda n_tokens: sample(x_nd, n_tokens))
        self.optimizer = self.training.optimizer()
        self.scheduler = self.training.scheduler(self.optimizer, options.n_steps)
        self.autocast = torch.autocast(options.device, torch.bfloat16, enabled=options.encoder == "bfloat16")

    def step(self, x_bd: Tensor) -> None:
        progress = Progress(self.done, self.options.n_steps, len(x_bd))
        with self.autocast:
            found = self.training.gradients(x_bd, progress, self.optimizer)
        for parameter, gradient in zip(found.parameters, found.gradients, strict=True):
            parameter.grad = gradient
        self.training.project_gradients()
        self.training.clip(self.options.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.training.constrain()
        self.scheduler.step()
        self.done += 1

    @property
    def sae(self) -> SparseAutoencoder:
        """The first one."""
        return self.training.members[0].sae

    def finish(self) -> None:
        self.sae.eval()

    def encode(self, x_bd: Tensor) -> Tensor:
        return self.sae.encode(x_bd)

    def decode(self, f_bs: Tensor) -> Tensor:
        return self.sae.decode(f_bs)

    def directions(self) -> Tensor:
        return self.sae.W_dec


def sample(x_nd: Tensor, n_tokens: int) -> Tensor:
    """Random tokens: neighbours in a recording belong to one picture."""
    return x_nd[torch.randperm(len(x_nd), generator=torch.Generator().manual_seed(0))[:n_tokens]]


def make(options: Options, x_nd: Tensor) -> Trainer:
    """Our SAE of this architecture."""
    return Ours(options, x_nd)
