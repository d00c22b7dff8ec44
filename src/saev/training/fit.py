"""Training without Lightning: SAEs that share batches, from their start to the end of their last step.

`SAELightningModule` calls the same functions from the hooks of a trainer; `fit` calls them one after the other.

Shape suffixes: b = tokens of a batch, n = sampled tokens, d = d_in.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from saev.errors import InputError, tell
from saev.memory import keep_freed_memory
from saev.nn import Progress
from saev.training.activations import activations
from saev.training.divergence import DivergenceError
from saev.training.loss import StepLosses
from saev.training.state import SaeInTraining

BETAS = (0.9, 0.99)  # Runs are short, and squares of gradients change as latents find their features.

Sample = Callable[[int], Tensor]
"""Gives raw activations (n, d): so many tokens, or fewer where there are fewer."""
Watch = Callable[[SaeInTraining, StepLosses], None]
"""Looks at an SAE and at the losses of its step."""


class StepGradients(NamedTuple):
    """What the SAEs of a step are changed by: the sum of their losses, their parameters and the gradients of these."""

    total: Tensor
    parameters: list[nn.Parameter]
    gradients: list[Tensor]


@final
class JointTraining:
    """SAEs that are trained on the same batches; each becomes what it would become alone."""

    def __init__(self, members: Sequence[SaeInTraining]) -> None:
        self.members = members

    @property
    def alive(self) -> list[SaeInTraining]:
        """Those whose training was not given up."""
        return [member for member in self.members if not member.has_failed]

    @property
    def loss(self) -> float:
        """The sum of the losses of the last step."""
        return sum(member.loss for member in self.alive)

    def start(self, sample: Sample) -> None:
        """Set the normalisation and the first weights of all SAEs from sampled activations.

        Raises:
            InputError: If the sample has another width, or values that are not finite.
        """
        device = self.members[0].sae.W_dec.device
        samples: dict[int, Tensor] = {}
        for member in self.members:
            if member.n_sample not in samples:
                x_nd = activations(sample(member.n_sample), member.sae.d_in).detach().to(device).float()
                if not bool(x_nd.isfinite().all()):
                    raise InputError("the activations that training starts from are not finite: look for NaN in them")
                samples[member.n_sample] = x_nd
            member.start(samples[member.n_sample])

    def optimizer(self) -> torch.optim.Adam:
        """Adam, with groups of parameters and learning rates of its own for each SAE."""
        groups = [group for member in self.members for group in member.groups()]
        return torch.optim.Adam(groups, betas=BETAS, fused=True)

    def scheduler(self, optimizer: torch.optim.Optimizer, n_steps: int) -> LambdaLR:
        """Changes the learning rates of all groups over so many steps."""
        owners = {parameter: member for member in self.members for parameter in member.trained}
        options = [owners[group["params"][0]].options for group in optimizer.param_groups]
        return LambdaLR(optimizer, [partial(one.lr_factor, n_steps=n_steps) for one in options])

    def gradients(
        self, x_bd: Tensor, progress: Progress, optimizer: torch.optim.Optimizer, watch: Watch | None = None
    ) -> StepGradients:
        """Restart dead latents where it is due, then compute the gradients of a batch, one SAE after the other.

        Args:
            x_bd: Raw activations, float32.
            watch: Called for each SAE that has losses, while these are in memory.

        Raises:
            DivergenceError: If the losses of all SAEs are not finite.
        """
        x_bd = x_bd.clone() if x_bd.is_inference() else x_bd  # else no gradient could be computed from it
        found = StepGradients(x_bd.new_zeros(()), [], [])
        for member in self.members:
            if progress.step == 0:
                member.note_start(x_bd)
            member.restart(x_bd, progress, optimizer)
            losses, gradients = member.gradients(x_bd, progress)
            found.parameters.extend(member.trained)
            found.gradients.extend(gradients)
            if losses is not None:
                if member.has_failed:
                    self._give_up(member, f"the loss is {member.loss} at step {progress.step}")
                found = found._replace(total=found.total + losses.total.detach())
                if watch is not None:
                    watch(member, losses)
        return found

    def project_gradients(self) -> None:
        """Remove what the constraint would undo; before gradients are clipped."""
        for member in self.members:
            member.sae.project_gradients()

    def clip(self, value: float | None, *, by_norm: bool = True) -> None:
        """Clip the gradients of each SAE on its own: together, one could shrink the steps of the others."""
        for member in self.members:
            if value and by_norm:
                member.clip(value)
            elif value:
                nn.utils.clip_grad_value_(member.trained, value)

    def constrain(self, last_bd: Tensor | None = None) -> None:
        """Bring the weights back to where they may be, after a step.

        Args:
            last_bd: The batch of the step if it was the last one: what training has made of the SAEs is noted.

        Raises:
            DivergenceError: If no SAE is left whose weights are finite.
        """
        for member in self.members:
            member.sae.constrain()
            if last_bd is not None:
                was_given_up = member.has_failed
                member.note_end(last_bd)
                if member.has_failed and not was_given_up:
                    self._give_up(member, "weights are not finite after the last step")

    def _give_up(self, member: SaeInTraining, what: str) -> None:
        """Say which SAE diverges, or raise DivergenceError where none is left."""
        lr = member.options.peak_lr
        advice = f"lower its lr, now {lr:g}, or look for values that are not finite in the activations"
        if not self.alive:
            raise DivergenceError(f"{what}: the run diverges, {advice}")
        tell(f"{member.name} is given up, {what}: {advice}")


def fit(
    members: Sequence[SaeInTraining],
    batches: Iterable[Tensor],
    n_steps: int,
    sample: Sample,
    *,
    clip: float | None = None,
    bf16: bool = False,
    on_step: Callable[[JointTraining], None] | None = None,
) -> None:
    """Train SAEs in this process, on the device where they are.

    Args:
        batches: Raw activations (b, d), equally many tokens in each; n_steps of them or more.
        sample: Gives the activations that training starts from.
        clip: Upper bound of the norm of the gradient of each SAE; by default none.
        bf16: Compute products of low precision where an architecture knows how to (autocast), as
            `--trainer.precision bf16-mixed` does.
        on_step: Called after each step.

    Raises:
        DivergenceError: If the losses or weights of all SAEs are not finite.
        InputError: If a batch is no float tensor (b, d_in), or the batches end early.
    """
    training, device = JointTraining(members), members[0].sae.W_dec.device
    if device.type == "cpu":
        keep_freed_memory()
    training.start(sample)
    optimizer = training.optimizer()
    scheduler = training.scheduler(optimizer, n_steps)
    source = iter(batches)
    for step in range(n_steps):
        if (batch := next(source, None)) is None:
            raise InputError(f"the batches end after {step} of {n_steps} steps: give more tokens, or a lower n_tokens")
        batch = activations(batch, members[0].sae.d_in)
        x_bd = batch.detach().to(device, non_blocking=True).float()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            found = training.gradients(x_bd, Progress(step, n_steps, len(x_bd)), optimizer)
        for parameter, gradient in zip(found.parameters, found.gradients, strict=True):
            parameter.grad = gradient
        del found
        training.project_gradients()
        training.clip(clip)
        optimizer.step()
        optimizer.zero_grad()
        training.constrain(x_bd if step + 1 == n_steps else None)
        scheduler.step()
        if on_step is not None:
            on_step(training)
