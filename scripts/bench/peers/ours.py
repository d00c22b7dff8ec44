"""This project, through the same pure functions that `saev fit` trains with.

Included: centring and scaling, start from data points, AuxK, restarts of dead latents, dead tracking,
parallel-gradient removal, clipping, unit-norm decoder, Adam, warm-up and decay.
"""

from functools import partial

import torch
from torch import Tensor

from peers.trainer import Options, Trainer
from saev.nn import ReLU, SparseAutoencoder, TopK
from saev.nn.initialization import initialize_from_data, set_normalization
from saev.nn.resampling import forget_moments, restart_latents, worst_directions
from saev.objectives import AuxK, step_losses
from saev.objectives.schedule import warmup_hold_decay

RESTARTS, LAST_RESTART = 10, 0.7


def build(options: Options) -> SparseAutoencoder:
    """The SAE of the options, with weights of its seed."""
    torch.manual_seed(options.seed)
    if options.architecture == "relu":
        return ReLU(options.d_in, options.d_sae, l1_coeff=options.coeff)
    return TopK(options.d_in, options.d_sae, k=options.k)


class Ours(Trainer):
    """One SAE with the default recipe."""

    def __init__(self, options: Options, x_nd: Tensor) -> None:
        self.options, self.sae, self.done = options, build(options), 0
        set_normalization(self.sae, x_nd[:65_536])
        initialize_from_data(self.sae, x_nd[:65_536], torch.Generator().manual_seed(options.seed))
        self.optimizer = torch.optim.Adam(self.sae.parameters(), lr=3e-3 * options.lr_factor)
        factor = partial(warmup_hold_decay, n_steps=options.n_steps, warmup=0.1, decay=0.2)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, factor)
        self.silent_s = torch.zeros(options.d_sae, dtype=torch.int64)
        self.window = options.dead_after or max(options.batch_size, options.n_steps * options.batch_size // 20)

    def step(self, x_bd: Tensor) -> None:
        every = self.options.n_steps // RESTARTS
        if self.done % every == 0 and 0 < self.done < LAST_RESTART * self.options.n_steps:
            self._restart(x_bd)
        losses = step_losses(self.sae, x_bd, self.silent_s >= self.window, AuxK(1 / 32, 256))
        torch.autograd.backward(losses.total)
        self.silent_s.add_(len(x_bd)).masked_fill_((losses.codes > 0).any(0), 0)
        self.sae.remove_parallel_gradient()
        torch.nn.utils.clip_grad_norm_(self.sae.parameters(), 1.0)
        self.optimizer.step()
        self.sae.normalize_decoder()
        self.optimizer.zero_grad()
        self.schedule.step()
        self.done += 1

    def _restart(self, x_bd: Tensor) -> None:
        latents_a = (self.silent_s >= self.window).nonzero().squeeze(-1)[: len(x_bd)]
        if 0 < len(latents_a) < self.options.d_sae:
            generator = torch.Generator().manual_seed(self.options.seed + self.done)
            restart_latents(self.sae, latents_a, worst_directions(self.sae, x_bd, len(latents_a), generator))
            forget_moments(self.optimizer, self.sae, latents_a)
            self.silent_s[latents_a] = 0

    def finish(self) -> None:
        """Nothing is left to do."""

    def encode(self, x_bd: Tensor) -> Tensor:
        return self.sae.encode(x_bd)

    def decode(self, f_bs: Tensor) -> Tensor:
        return self.sae.decode(f_bs)

    def directions(self) -> Tensor:
        return self.sae.W_dec


def make(options: Options, x_nd: Tensor) -> Trainer:
    """Our SAE of this architecture."""
    return Ours(options, x_nd)
