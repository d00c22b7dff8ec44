"""This project: the calls of `SAELightningModule` in their order, without the Trainer around them.

Included: centring and scaling, start from data points, AuxK, restarts of dead latents, dead tracking,
parallel-gradient removal, clipping where it is asked for (off by default), unit-norm decoder, Adam, warm-up and decay.
`bfloat16` is autocast, as with `--trainer.precision bf16-mixed`.
"""

import inspect
from typing import Any

import torch
from torch import Tensor

from peers.trainer import DENSE, Options, Trainer
from saev.memory import keep_freed_memory
from saev.modules import SAELightningModule
from saev.nn import ARCHITECTURES, SparseAutoencoder
from saev.training.options import TrainingOptions
from saev.training.state import Course, Member, adam, scheduled

INIT_TOKENS = 65_536
CLASSES = {"topk": "TopK", "batchtopk": "BatchTopK", "matryoshka": "Matryoshka", "relu": "ReLU", "sweep": "TopK"}
CLASSES |= {"jumprelu": "JumpReLU", "gated": "Gated"}
COEFF = {"relu": "l1_coeff", "jumprelu": "l0_coeff", "gated": "l1_coeff"}
N_SWEPT = 4


def recipe(options: Options, seed: int, peak_lr: float) -> TrainingOptions:
    """The defaults of `saev fit`."""
    own = inspect.signature(SAELightningModule.__init__).parameters
    made: dict[str, Any] = {name: own[name].default for name in TrainingOptions.names()}
    made |= {"seed": seed, "lr": peak_lr * options.lr_factor}
    return TrainingOptions(**made | ({"dead_after": options.dead_after} if options.dead_after else {}))


def member(options: Options, seed: int) -> Member:
    """An SAE with the weights of a seed, and its training."""
    torch.manual_seed(seed)
    name = options.architecture
    special = {COEFF[name]: options.coeff} if name in DENSE else {"k": options.k}
    sae: SparseAutoencoder = ARCHITECTURES[CLASSES[name]](options.d_in, d_sae=options.d_sae, **special)
    return Member(str(seed), sae, recipe(options, seed, sae.peak_lr)).to(options.device)


class Ours(Trainer):
    """One SAE with the default recipe, or four in one step."""

    def __init__(self, options: Options, x_nd: Tensor) -> None:
        n = N_SWEPT if options.architecture == "sweep" else 1
        self.options, self.done = options, 0
        keep_freed_memory()
        self.members = [member(options, options.seed + i) for i in range(n)]
        for one in self.members:
            one.start(sample(x_nd, max(INIT_TOKENS, options.d_sae)))
        self.optimizer = adam(self.members)
        self.scheduler = scheduled(self.optimizer, self.members, options.n_steps)
        self.autocast = torch.autocast(options.device, torch.bfloat16, enabled=options.encoder == "bfloat16")

    def step(self, x_bd: Tensor) -> None:
        course = Course(self.done, self.options.n_steps, len(x_bd))
        for one in self.members:
            one.restart(x_bd, course, self.optimizer)
            with self.autocast:
                gradients = one.gradients(x_bd, course)[1]
            for parameter, gradient in zip(one.trained, gradients, strict=True):
                parameter.grad = gradient
            one.sae.project_gradients()
            if self.options.clip:
                torch.nn.utils.clip_grad_norm_(one.trained, self.options.clip)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad()
        for one in self.members:
            one.sae.constrain()
        self.done += 1

    @property
    def sae(self) -> SparseAutoencoder:
        """The first one."""
        return self.members[0].sae

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
