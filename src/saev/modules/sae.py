"""Training and evaluation of SAEs."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, cast, runtime_checkable

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError, tell
from saev.memory import keep_freed_memory
from saev.modules.resuming import check_contents, check_keys, check_same, trainer_settings
from saev.nn import SparseAutoencoder, TopK
from saev.nn.processes import DIVIDED_LATENTS, said_by_any
from saev.nn.sharding import assembled, check_divisible
from saev.training.evaluation import FIGURES, Evaluation
from saev.training.memory_need import check_weights_fit
from saev.training.options import TrainingOptions
from saev.training.own_gradients import with_gradients
from saev.training.spec import Recipe, number_at_once, recipes
from saev.training.state import Course, Member, adam, scheduled

INIT_TOKENS = 65_536
SETTINGS_KEY = "saev_settings"
HISTOGRAM = "frequency_histogram"


class TokenSource(Protocol):
    """The part of a data module that training starts from."""

    def sample(self, n_tokens: int) -> Tensor:
        """Raw activations (n_tokens, d_in)."""


@runtime_checkable
class ForgivingSource(Protocol):
    """The part of a data module that tells what it could not read, where it forgives that."""

    @property
    def val_fault(self) -> str | None:
        """What this process could not read in the last validation."""


class DivergenceError(InputError):
    """Raised where the losses of all SAEs in training are not finite."""


class SAELightningModule(lightning.LightningModule):
    """Trains one sparse autoencoder, or a sweep of them, on batches of raw activations (b, d_in).

    At the start the mean and scale of the activations are estimated on a sample and stored in the SAE. Each SAE of a
    sweep sees the same batches and becomes what it would have become alone.

    Args:
        sae: Architecture and its options; d_in comes from the activations.
        d_in: Width of the activations.
        lr: Peak learning rate of Adam; by default 8e-3 where each token keeps k latents (TopK), 4e-3 for others. Some
            parameters learn at a multiple of it, see docs/training.md.
        warmup: Share of the steps over which the learning rate rises.
        decay: Share of the steps at the end over which it falls to 0.
        schedule: How it falls.
        normalize: How activations are centred and scaled: to mean 0 and one scale for all dimensions (scalar), a scale
            for each dimension, or not at all (none).
        init: Start from directions of data points, or from random ones.
        sparsity_warmup: Share of the steps over which a sparsity penalty rises from 0.
        k_start: Factor of k at the start, 1 or more, for architectures that have k.
        k_anneal: Share of the steps over which that factor falls to 1.
        auxk_coeff: Weight of the auxiliary loss that revives dead latents (AuxK); 0 leaves it out.
        k_aux: Dead latents that the auxiliary loss uses for one token.
        dead_after: Tokens without firing after which the auxiliary loss takes a latent for dead. By default a
            twentieth of the run, at least 10 steps and at most 10 million tokens.
        restarts: After each of so many equal parts of the run, but not in its last 30 %, dead latents get a new start
            in a direction that is reconstructed badly; 20 steps or more lie between. 0 leaves it out.
        seed: Fixes the initial weights.
        sweep: Options and lists of values: one SAE is trained for each combination, all in this run, for example
            '{sae.k: [16, 32], lr: [1e-3, 3e-3], seed: [0, 1]}'. Any option of the SAE and any of the above.
        at_once: How many SAEs of a sweep are trained at the same time; the others follow, on the same batches. By
            default as many as memory holds, with several processes all; a run that goes on keeps its number.
        shard_latents: Let the processes (--trainer.devices N) divide the latents instead of the tokens, for an SAE
            that is larger than one device: TopK, BatchTopK or Matryoshka, whose d_sae they divide equally.

    Raises:
        InputError: If a number makes no sense.
    """

    def __init__(
        self,
        sae: Callable[[int], SparseAutoencoder] = lambda d_in: TopK(d_in),
        d_in: int = 768,
        lr: float | None = None,
        warmup: float = 0.2,
        decay: float = 0.2,
        schedule: Literal["linear", "cosine"] = "linear",
        normalize: Literal["scalar", "dimension", "none"] = "scalar",
        init: Literal["data", "random"] = "data",
        sparsity_warmup: float = 0.1,
        k_start: float = 1.0,
        k_anneal: float = 0.2,
        auxk_coeff: float = 1 / 32,
        k_aux: int = 256,
        dead_after: int | None = None,
        restarts: int = 10,
        seed: int = 0,
        sweep: dict[str, list[Any]] | None = None,
        at_once: int | None = None,
        shard_latents: bool = False,
    ) -> None:
        super().__init__()
        options = TrainingOptions(
            lr=SparseAutoencoder.peak_lr if lr is None else lr,
            warmup=warmup,
            decay=decay,
            schedule=schedule,
            normalize=normalize,
            init=init,
            sparsity_warmup=sparsity_warmup,
            k_start=k_start,
            k_anneal=k_anneal,
            auxk_coeff=auxk_coeff,
            k_aux=k_aux,
            dead_after=dead_after,
            restarts=restarts,
            seed=seed,
        )
        self.recipes = recipes(sae, d_in, options, sweep or {}, own_lr=lr is None)
        self.at_once = number_at_once(at_once, self.recipes)
        self.shard_latents = shard_latents
        if shard_latents and len(self.recipes) > 1:
            raise InputError(f"shard_latents: a sweep of {len(self.recipes)} SAEs cannot be divided, train one SAE")
        self.begin(0)
        self.results: dict[str, dict[str, dict[str, float | list[int]]]] = {}
        self.validation_fault: str | None = None
        """Why the last validation gave no figures."""
        self._metrics: dict[str, Evaluation] = {}
        self._last_bd: Tensor | None = None  # the last batch of training, until its step is done

    @property
    def n_parts(self) -> int:
        """How many times the data are gone through, so that all SAEs get their turn."""
        return -(-len(self.recipes) // self.at_once)

    def part(self, number: int) -> list[Recipe]:
        """The SAEs of a part."""
        return self.recipes[number * self.at_once : (number + 1) * self.at_once]

    def begin(self, part: int) -> None:
        """Build the SAEs that are trained in this part, and let go of those of others."""
        self.members = nn.ModuleList()
        own = self.part(part)
        check_weights_fit(own)
        self.members = nn.ModuleList([recipe.build() for recipe in own])

    def check_divisible(self, n_processes: int) -> None:
        """See whether so many processes can divide the latents.

        Raises:
            InputError: If not.
        """
        for member in self._members:
            check_divisible(member.sae, n_processes)

    @override
    def configure_model(self) -> None:
        """Keep the latents of this process alone, where the processes divide them."""
        for member in self._members:
            if self.shard_latents and member.sae.processes != DIVIDED_LATENTS:
                member.divide()

    def latent_dims(self) -> dict[str, int]:
        """By its name in the state, each tensor that processes divide, and along which dimension."""
        return {
            f"members.{number}.{name}": dim
            for number, member in enumerate(self._members)
            if member.sae.processes == DIVIDED_LATENTS
            for name, dim in member.latent_dims().items()
        }

    @property
    def names(self) -> list[str]:
        """Names of all SAEs in training, given up or not."""
        return [member.name for member in self._members]

    @property
    def logged_names(self) -> list[str]:
        """Names of the values that callbacks can monitor."""
        figures = [self._prefix(member) + f"val/{name}" for member in self._members for name in FIGURES]
        return ["loss", *figures]

    @property
    def saes(self) -> dict[str, SparseAutoencoder]:
        """The SAEs by name, without those whose training failed."""
        return {member.name: member.sae for member in self._members if not member.has_failed}

    def whole_saes(self) -> dict[str, SparseAutoencoder]:
        """The same with all latents, for process 0, put together there by all processes."""
        if not self.shard_latents:
            return self.saes
        found = {name: assembled(sae) for name, sae in self.saes.items()}
        return {name: sae for name, sae in found.items() if sae is not None}

    @property
    def _members(self) -> list[Member]:
        return cast(list[Member], list(self.members))

    def adopt(self, saes: Mapping[str, SparseAutoencoder]) -> None:
        """Evaluate these SAEs, by name, instead of those that were built."""
        options = self._members[0].options
        self.members = nn.ModuleList([Member(name, sae, options) for name, sae in saes.items()])

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what the run was started with."""
        checkpoint[SETTINGS_KEY] = self.settings()

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a damaged checkpoint, and that of a run with other settings, part of which it would silently bring
        back.

        Raises:
            InputError: Naming what is missing, or the differences.
        """
        check_keys(checkpoint, {SETTINGS_KEY: list, "state_dict": dict})
        self.check_settings(checkpoint[SETTINGS_KEY])
        if self._trainer is not None and self.trainer.state.fn == "fit":
            self._check_resumable(checkpoint)

    def _check_resumable(self, checkpoint: dict[str, Any]) -> None:
        kinds: dict[str, type] = {"optimizer_states": list, "lr_schedulers": list, "loops": dict}
        if (data := self.trainer.datamodule) is not None:  # type: ignore[attr-defined]
            kinds[type(data).__qualname__] = dict
        check_keys(checkpoint, kinds)
        names = {parameter: name for name, parameter in self.named_parameters()}
        trained = [names[weight] for member in self._members for group in member.groups() for weight in group["params"]]
        check_contents(checkpoint, self._whole_shapes(), trained, self.trainer.fit_loop.state_dict())

    def _whole_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the tensors with all latents, as a checkpoint has them."""
        divided = self.latent_dims()
        n = self._members[0].sae.processes.latents.size
        return {
            name: tuple(size * n if dim == divided.get(name) else size for dim, size in enumerate(tensor.shape))
            for name, tensor in self.state_dict().items()
        }

    def check_settings(self, earlier: list[dict[str, object]]) -> None:
        """Compare with the settings that SAEs were trained with before.

        Raises:
            InputError: Naming the differences.
        """
        check_same(earlier, self.settings())

    def settings(self) -> list[dict[str, object]]:
        """For each SAE in training all that must not change when the run goes on."""
        of_trainer = {} if self._trainer is None else trainer_settings(self.trainer)
        return [member.settings() | of_trainer for member in self._members]

    @override
    def on_fit_start(self) -> None:
        """Set the normalisation and the first weights from data, unless a checkpoint brings them."""
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.trainer.ckpt_path is not None:
            return
        source = cast(TokenSource, self.trainer.datamodule)  # type: ignore[attr-defined]
        sizes = {max(INIT_TOKENS, member.sae.d_sae) for member in self._members}
        samples = {size: source.sample(size).to(self.device) for size in sizes}
        for member in self._members:
            member.start(samples[max(INIT_TOKENS, member.sae.d_sae)])
            divided = member.sae.latent_dims() if self.shard_latents else {}
            for name, tensor in member.sae.state_dict().items():
                # Processes on unlike hardware may round, and then draw, differently.
                if name not in divided:
                    tensor.copy_(self.trainer.strategy.broadcast(tensor))

    @override
    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, each SAE with the course of its own learning rate."""
        optimizer = adam(self._members)
        scheduler = scheduled(optimizer, self._members, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def training_step(self, x_bd: Tensor, batch_idx: int) -> Tensor:
        """The sum of the losses of a batch of raw activations (b, d_in), in whatever dtype they are stored."""
        x_bd = x_bd.float()  # here and not before: fewer bytes go to the device
        n_steps = int(self.trainer.estimated_stepping_batches)
        n_tokens = len(x_bd) * self._members[0].sae.processes.tokens.size
        course = Course(self.trainer.global_step, n_steps, n_tokens)
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        logs = every > 0 and (batch_idx + 1) % every == 0
        self._last_bd = x_bd if self.trainer.is_last_batch else None
        total, parameters, gradients = x_bd.new_zeros(()), [], []
        for member in self._members:
            if course.step == 0:
                member.note_start(x_bd)
            member.restart(x_bd, course, self.trainer.optimizers[0])
            losses, found = member.gradients(x_bd, course)
            parameters += member.trained
            gradients += found
            if losses is not None:
                self._check(member)
                total = total + losses.total.detach()
                if logs:
                    self._log(member, {f"train/{k}": v for k, v in member.describe(x_bd, losses, course).items()})
        self.log("loss", total, logger=False)
        return with_gradients(total, parameters, gradients)

    @property
    def loss(self) -> float:
        """The sum of the losses of the last step."""
        return sum(member.loss for member in self._members if not member.has_failed)

    def _check(self, member: Member) -> None:
        """Say which SAE diverges.

        Raises:
            InputError: If none is left.
        """
        if member.has_failed:
            self._give_up(member, f"the loss is {member.loss} at step {self.trainer.global_step}")

    def _give_up(self, member: Member, what: str) -> None:
        advice = f"lower its lr, now {member.options.lr:g}, or look for values that are not finite in the shards"
        if not self.saes:
            raise DivergenceError(f"{what}: the run diverges, {advice}")
        tell(f"{member.name} is given up, {what}: {advice}")

    def _log(self, member: Member, values: dict[str, float]) -> None:
        # Not self.log: for so many keys it would cost more than it is worth, even when it throws the values away.
        own = [logger for logger in self.loggers if logger.version == member.name]
        for logger in own or self.loggers:
            prefix = "" if own else self._prefix(member)
            named = {prefix + name: value for name, value in values.items()}
            logger.log_metrics(named, step=self.trainer.global_step)

    def _prefix(self, member: Member) -> str:
        return "" if max(len(self.members), len(self.recipes)) == 1 else f"{member.name}/"

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Project the gradients: after processes are averaged, before clipping."""
        for member in self._members:
            member.sae.project_gradients()

    @override
    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients of each SAE by its own norm: together, one could shrink the steps of the others."""
        for member in self._members:
            if gradient_clip_val and gradient_clip_algorithm == "value":
                torch.nn.utils.clip_grad_value_(member.trained, gradient_clip_val)
            elif gradient_clip_val:
                member.clip(gradient_clip_val)

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then constrain the weights: before any checkpoint of this step is written."""
        super().optimizer_step(*args, **kwargs)
        for member in self._members:
            member.sae.constrain()
            if self._last_bd is not None:
                was_given_up = member.has_failed
                member.note_end(self._last_bd)
                if member.has_failed and not was_given_up:
                    self._give_up(member, "weights are not finite after the last step")

    def keep_outcomes(self) -> None:
        """Put what training has made of each SAE among the results."""
        for member in self._members:
            if outcome := member.outcome():
                self.results.setdefault(member.name, {})["train"] = dict(outcome)

    @override
    def on_validation_epoch_start(self) -> None:
        """Begin with empty metrics."""
        self._reset_metrics()

    @override
    def on_test_epoch_start(self) -> None:
        """Begin with empty metrics."""
        self._reset_metrics()

    def _reset_metrics(self) -> None:
        self._metrics = {
            member.name: Evaluation(member.sae, self.device) for member in self._members if not member.has_failed
        }

    @override
    def validation_step(self, x_bd: Tensor, batch_idx: int) -> None:
        """Add a batch of raw activations (b, d_in) to the metrics."""
        self._evaluate(x_bd)

    @override
    def test_step(self, x_bd: Tensor, batch_idx: int) -> None:
        """Add a batch of raw activations (b, d_in) to the metrics."""
        self._evaluate(x_bd)

    def _evaluate(self, x_bd: Tensor) -> None:
        x_bd = x_bd.float()
        for metrics in self._metrics.values():
            metrics.update(x_bd)

    @override
    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the held-out tokens as ``val/...``, unless a process could not read its part of them."""
        self.validation_fault = said_by_any(self._val_fault())
        if self.validation_fault is None:
            self._finish("val")
            return
        for found in self.results.values():
            found.pop("val", None)  # an earlier one's figures are not those of these weights
        if self.trainer.is_global_zero:
            when = f"after {self.trainer.global_step} steps"
            tell(f"the validation {when} has failed: {self.validation_fault}")

    @override
    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test tokens as ``test/...``."""
        self._finish("test")

    def _val_fault(self) -> str | None:
        source = self.trainer.datamodule  # type: ignore[attr-defined]
        return source.val_fault if isinstance(source, ForgivingSource) else None

    def _finish(self, stage: str) -> None:
        """Keep and log what was measured."""
        for member in self._members:
            if member.name in self._metrics:
                values, histogram = self._metrics[member.name].compute()
                self.results.setdefault(member.name, {})[stage] = {**values, HISTOGRAM: histogram}
                named = {f"{stage}/{name}": value for name, value in values.items()}
                self._log(member, named)
                shown = {self._prefix(member) + name: value for name, value in named.items()}
                self.log_dict(shown, logger=False, sync_dist=True)  # the same in all processes: else it warns
