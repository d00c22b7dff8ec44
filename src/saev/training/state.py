"""One SAE in training, among those that share the batches.

Shape suffixes: b = tokens of a batch, d = d_in, s = d_sae.
"""

from dataclasses import asdict
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

import saev
from saev.artifacts import Provenance
from saev.host_copy import HostCopies
from saev.metrics import fraction_of_variance_unexplained
from saev.nn import Progress, SparseAutoencoder
from saev.nn.sharding import divide, own_part
from saev.training.divergence import evaluated_fvu, has_diverged
from saev.training.initialization import initialize_from_data, set_normalization
from saev.training.loss import AuxK, StepLosses, step_losses
from saev.training.options import TrainingOptions
from saev.training.restarts import forget_moments, worst_directions

INIT_TOKENS = 65_536
"""Least number of sampled tokens that training starts from."""


@final
class SaeInTraining(nn.Module):
    """An SAE, how it is trained, and what its training has to remember.

    Args:
        name: Names its results.
        options: How it is trained; without a learning rate, with the one that suits the SAE.
    """

    silent_tokens_s: Tensor
    failed: Tensor
    fvu: Tensor

    def __init__(self, name: str, sae: SparseAutoencoder, options: TrainingOptions) -> None:
        super().__init__()
        self.name = name
        self.sae = sae
        self.options = options.with_lr(sae.peak_lr)
        sae.provenance = Provenance(training=asdict(self.options), source=f"saev {saev.__version__}")
        # Tokens seen by all processes since each latent fired. Saved: a resumed run revives the same latents.
        self.register_buffer("silent_tokens_s", torch.zeros(sae.d_sae, dtype=torch.int64))
        self.register_buffer("failed", torch.zeros((), dtype=torch.bool))
        # On the first batch before its step, and on the last one after it; saved, because a run may go on in between.
        self.register_buffer("fvu", torch.tensor([torch.nan, -1.0], dtype=torch.float64))
        self.loss = 0.0
        """Of the last step, on the tokens of this process."""
        self._copies = HostCopies()
        # What the host knows of the two buffers; to look into these would wait for the device.
        self._has_failed: bool | None = None
        self._n_dead: int | None = None
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    @property
    def has_failed(self) -> bool:
        """Whether training was given up."""
        if self._has_failed is None:
            self._has_failed = bool(self.failed)
        return self._has_failed

    def note_start(self, x_bd: Tensor) -> None:
        """Remember how well the first raw activations are reconstructed before training."""
        self.fvu[0] = evaluated_fvu(self.sae, x_bd)

    def note_end(self, x_bd: Tensor) -> None:
        """Remember how well the last ones are reconstructed after it; give up what is not finite."""
        if self.has_failed:
            return
        self.fvu[1] = evaluated_fvu(self.sae, x_bd)
        broken = torch.stack([~weight.isfinite().all() for weight in self.sae.state_dict().values()]).any().int()
        if bool(self.sae.processes.all.sum(broken)):
            self.failed.fill_(True)
            self._has_failed = True

    def outcome(self) -> dict[str, float]:
        """What training has made of the FVU, and whether it did harm; nothing where it has not ended."""
        start, end = self.fvu.tolist()
        return {} if end == -1 else {"fvu_start": start, "fvu": end, "diverged": float(has_diverged(start, end))}

    def forget(self) -> None:
        """Look into the buffers again: they were loaded."""
        self._has_failed = self._n_dead = None

    def divide(self) -> None:
        """Keep the latents of this process alone."""
        divide(self.sae)
        self.silent_tokens_s = own_part(self.silent_tokens_s, 0)

    def latent_dims(self) -> dict[str, int]:
        """By its name in the state, each tensor of single latents, and their dimension."""
        return {"silent_tokens_s": 0} | {f"sae.{name}": dim for name, dim in self.sae.latent_dims().items()}

    @property
    def trained(self) -> list[nn.Parameter]:
        """The parameters that the optimizer changes."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def groups(self) -> list[dict[str, Any]]:
        """The trained parameters in groups of one learning rate."""
        multipliers = self.sae.lr_multipliers()
        found: dict[float, list[nn.Parameter]] = {}
        for name, parameter in self.sae.named_parameters():
            if parameter.requires_grad:
                found.setdefault(multipliers.get(name, 1.0), []).append(parameter)
        return [{"params": some, "lr": self.options.peak_lr * multiplier} for multiplier, some in found.items()]

    def settings(self) -> dict[str, object]:
        """All that must not change when a run goes on."""
        sae = {"sae": type(self.sae).__name__, "d_in": self.sae.d_in, **self.sae.options()}
        return {**sae, **asdict(self.options), "paces": self.sae.lr_multipliers()}

    @property
    def n_sample(self) -> int:
        """How many sampled tokens training starts from, where there are so many."""
        return max(INIT_TOKENS, self.sae.d_sae)

    def start(self, x_nd: Tensor) -> None:
        """Set the normalisation and the first weights from raw sampled activations."""
        set_normalization(self.sae, x_nd, self.options.normalize)
        if self.options.init == "data":
            initialize_from_data(self.sae, x_nd, torch.Generator().manual_seed(self.options.seed))

    def restart(self, x_bd: Tensor, progress: Progress, optimizer: torch.optim.Optimizer) -> None:
        """Give dead latents a new start, where one is due."""
        if self.has_failed or not self.options.restarts_at(progress.step, progress.n_steps):
            return
        dead_s = self.sae.processes.latents.rows(self._dead(progress))
        latents_a = dead_s.nonzero().squeeze(-1)[: progress.tokens_per_step]
        if not 0 < len(latents_a) < self.sae.d_sae:
            return
        # Seeded by the step: a resumed run draws what the undisturbed one draws.
        generator = torch.Generator().manual_seed(self.options.seed + progress.step)
        directions_ad = worst_directions(self.sae, x_bd, len(latents_a), generator)
        own = self.sae.own_latents
        own_a = (latents_a >= own.start) & (latents_a < own.stop)
        latents_a = latents_a[own_a] - own.start
        self.sae.reset_latents(latents_a, directions_ad[own_a])  # each process calls it, be it for none of its own
        forget_moments(optimizer, self.sae, latents_a)
        self.silent_tokens_s[latents_a] = 0
        self._n_dead = None

    def gradients(self, x_bd: Tensor, progress: Progress) -> tuple[StepLosses | None, list[Tensor]]:
        """The losses of raw activations and the gradients of the parameters, zeros once training has failed.

        Whether it fails now, because the loss is not finite in some process, is the same in all of them.
        """
        parameters = self.trained
        if self.has_failed:
            return None, [torch.zeros_like(parameter) for parameter in parameters]
        aux = AuxK(self.options.auxk_coeff, self.options.k_aux)
        now = self.options.with_multipliers(progress)
        losses = step_losses(self.sae, x_bd, self._dead_latents(progress), aux, now)
        fired_s = losses.architecture.fired_s
        # One exchange for both: a latent that fires in one process only is alive in all.
        tokens = self.sae.processes.tokens
        seen = tokens.sum(torch.cat([fired_s.int(), (~losses.total.isfinite()).int().view(1)]))
        self.silent_tokens_s.add_(progress.tokens_per_step).masked_fill_(seen[:-1] > 0, 0)
        told = torch.stack([losses.total.detach().float(), seen[-1].float(), self._dead(progress).sum().float()])
        told_later = self._copies.start(told)
        with torch.autocast(x_bd.device.type, enabled=False):
            grads = torch.autograd.grad(losses.total, parameters, allow_unused=True, materialize_grads=True)
        # Asked for before and read only now: a GPU that is waited for earlier has nothing to do meanwhile.
        self.loss, n_failed, n_dead = told_later().tolist()
        self._has_failed, self._n_dead = n_failed > 0, int(n_dead)
        if self._has_failed:
            self.failed.fill_(True)
            grads = tuple(torch.zeros_like(grad) for grad in grads)
        return losses, list(grads)

    def clip(self, max_norm: float) -> None:
        """Shorten the gradient to this norm, where it is longer."""
        of_latents = {weight for weight, _ in self.sae.latent_parameters()}
        own = [weight.grad for weight in self.trained if weight.grad is not None and weight in of_latents]
        common = [weight.grad for weight in self.trained if weight.grad is not None and weight not in of_latents]
        squares = self.sae.processes.latents.sum(get_total_norm(own).square()) + get_total_norm(common).square()
        clip_grads_with_norm_(self.trained, max_norm, squares.sqrt())

    @torch.no_grad()
    def describe(self, x_bd: Tensor, losses: StepLosses, progress: Progress) -> dict[str, float]:
        """What TensorBoard shows of a training batch."""
        found = losses.architecture
        x_hat_bd = self.sae.denormalize(found.z_hat_bd)
        dead = self._dead(progress).sum() / self.sae.d_sae
        l0, l1, dead = self.sae.processes.latents.sum(torch.stack([found.l0, found.l1, dead]))
        values = {
            "loss": losses.total,
            "mse": found.reconstruction,
            "sparsity": found.sparsity,
            "auxk": losses.auxk,
            "fvu": fraction_of_variance_unexplained(x_bd, x_hat_bd),
            "l0": l0,
            "l1": l1,
            "dead": dead,
        }
        # All at once: each look at a value waits for the device.
        found_n = torch.stack([value.double() for value in values.values()]).tolist()
        return dict(zip(values, found_n, strict=True))

    def _dead_latents(self, progress: Progress) -> Tensor:
        """Their indices. To look for them waits for the device, so that this is left out where there are none."""
        if self._n_dead == 0:
            return self.silent_tokens_s.new_zeros(0)
        return self._dead(progress).nonzero().squeeze(-1)

    def _dead(self, progress: Progress) -> Tensor:
        return self.silent_tokens_s >= self.options.dead_window(progress.n_steps, progress.tokens_per_step)


def _forget(member: nn.Module, _keys: object) -> None:
    assert isinstance(member, SaeInTraining)
    member.forget()
