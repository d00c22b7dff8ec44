"""Training of SAEs by Lightning."""

import time
from collections.abc import Callable
from itertools import islice
from typing import Any, cast

import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError
from saev.memory import keep_freed_memory
from saev.modules.evaluation import EvaluatedSaes
from saev.modules.resuming import (
    TRAINER_SETTINGS,
    check_keys,
    check_resumable,
    check_same,
    check_trainer,
    trainer_settings,
)
from saev.nn import Progress, SparseAutoencoder, TopK
from saev.nn.processes import DIVIDED_LATENTS
from saev.nn.sharding import assembled, check_divisible
from saev.training.activations import activations
from saev.training.fit import JointTraining
from saev.training.loss import StepLosses
from saev.training.memory_need import check_weights_fit
from saev.training.options import TrainingOptions
from saev.training.own_gradients import with_gradients
from saev.training.spec import sae_specs
from saev.training.state import SaeInTraining

SETTINGS_KEY = "saev_settings"


class SAELightningModule(EvaluatedSaes):
    """Trains one sparse autoencoder, or a sweep of them, on batches of raw activations (b, d_in).

    At the start the mean and scale of the activations are estimated on a sample and stored in the SAE. The sample is
    the data module's, or the first batches where it has none, as of a DataLoader of tensors (b, d_in). Each SAE of a
    sweep sees the same batches and becomes what it would have become alone.

    Args:
        sae: Architecture and its options; d_in comes from the activations.
        d_in: Width of the activations.
        sweep: Options and lists of values: one SAE is trained for each combination, all in this run, for example
            '{sae.k: [16, 32], lr: [1e-3, 3e-3], seed: [0, 1]}'. Any option of the SAE and any of training.
        shard_latents: Let the processes (--trainer.devices N) divide the latents instead of the tokens, for an SAE
            that is larger than one device: TopK, BatchTopK or Matryoshka, whose d_sae they divide equally.
        training: How the SAEs are trained: the options of `saev.training.options.TrainingOptions`.

    Raises:
        InputError: If a number makes no sense, or the SAEs do not fit the memory.
    """

    def __init__(
        self,
        sae: Callable[[int], SparseAutoencoder] = lambda d_in: TopK(d_in),
        d_in: int = 768,
        sweep: dict[str, list[Any]] | None = None,
        shard_latents: bool = False,
        **training: Any,
    ) -> None:
        super().__init__()
        self.sweep = sweep or {}
        self.specs = sae_specs(sae, d_in, TrainingOptions(**training), self.sweep)
        self.shard_latents = shard_latents
        if shard_latents and len(self.specs) > 1:
            raise InputError(f"shard_latents: a sweep of {len(self.specs)} SAEs cannot be divided, train one SAE")
        check_weights_fit(self.specs, self.sweep)
        self.members = nn.ModuleList([spec.build() for spec in self.specs])
        self.training_run = JointTraining(cast(list[SaeInTraining], list(self.members)))
        self._last_bd: Tensor | None = None  # the last batch of training, until its step is done
        self._logged = (0, 0.0)  # tokens that were logged last, and when

    def check_divisible(self, n_processes: int) -> None:
        """Raise InputError unless so many processes can divide the latents."""
        for member in self.training_run.members:
            check_divisible(member.sae, n_processes)

    @override
    def configure_model(self) -> None:
        """Keep the latents of this process alone, where the processes divide them."""
        for member in self.training_run.members:
            if self.shard_latents and member.sae.processes != DIVIDED_LATENTS:
                member.divide()

    def latent_dims(self) -> dict[str, int]:
        """By its name in the state, each tensor that processes divide, and along which dimension."""
        return {
            f"members.{number}.{name}": dim
            for number, member in enumerate(self.training_run.members)
            if member.sae.processes == DIVIDED_LATENTS
            for name, dim in member.latent_dims().items()
        }

    @property
    @override
    def names(self) -> list[str]:
        return [member.name for member in self.training_run.members]

    @property
    @override
    def saes(self) -> dict[str, SparseAutoencoder]:
        return {member.name: member.sae for member in self.training_run.alive}

    @override
    def whole_saes(self) -> dict[str, SparseAutoencoder]:
        if not self.shard_latents:
            return self.saes
        found = {name: assembled(sae) for name, sae in self.saes.items()}
        return {name: sae for name, sae in found.items() if sae is not None}

    @property
    def loss(self) -> float:
        """The sum of the losses of the last step."""
        return self.training_run.loss

    def settings(self) -> list[dict[str, object]]:
        """For each SAE in training all that must not change when the run goes on."""
        of_trainer = {} if self._trainer is None else trainer_settings(self.trainer)
        return [member.settings() | of_trainer for member in self.training_run.members]

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
        earlier = checkpoint[SETTINGS_KEY]
        if self._trainer is None:  # as in `load_from_checkpoint`
            earlier = [{key: one[key] for key in one.keys() - TRAINER_SETTINGS} for one in earlier]
        check_same(earlier, self.settings())
        if self._trainer is not None and self.trainer.state.fn == "fit":
            check_resumable(checkpoint, self, self.training_run.members, self.latent_dims())

    @override
    def on_fit_start(self) -> None:
        """Set the normalisation and the first weights from data, unless a checkpoint brings them.

        Raises:
            InputError: If the trainer would change the gradients; if there is no data to start from.
        """
        check_trainer(self.trainer)
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.trainer.ckpt_path is not None:
            return
        source = getattr(self.trainer, "datamodule", None)
        self.training_run.start(getattr(source, "sample", self._first_batches))
        for member in self.training_run.members:
            divided = member.sae.latent_dims() if self.shard_latents else {}
            for name, tensor in member.sae.state_dict().items():
                # Processes on unlike hardware may round, and then draw, differently.
                if name not in divided:
                    tensor.copy_(self.trainer.strategy.broadcast(tensor))

    def _first_batches(self, n_tokens: int) -> Tensor:
        """As many of the first process's first batches as have so many tokens."""
        self.trainer.fit_loop.setup_data()  # by now the trainer has only done so where it had to count the steps
        found, n = [], 0
        for batch in islice(cast(Any, self.trainer.train_dataloader), self._n_steps):
            found.append(activations(batch, self.specs[0].d_in))
            n += len(found[-1])
            if n >= n_tokens:
                break
        x_nd: Tensor = self.trainer.strategy.broadcast(torch.cat(found)[:n_tokens])
        return x_nd

    @property
    def _n_steps(self) -> int:
        """Steps of the run, which must have an end."""
        n = self.trainer.estimated_stepping_batches
        if not 0 < n < float("inf"):
            raise InputError(f"the run has {n} steps: give the trainer batches of known number, or max_steps")
        return int(n)

    @override
    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, each SAE with the schedule of its own learning rate."""
        optimizer = self.training_run.optimizer()
        scheduler = self.training_run.scheduler(optimizer, self._n_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def training_step(self, batch: object, batch_idx: int) -> Tensor:
        """The sum of the losses of a batch of raw activations (b, d_in), in whatever dtype they are stored."""
        x_bd = activations(batch, self.specs[0].d_in).float()  # here and not before: fewer bytes go to the device
        n_tokens = len(x_bd) * self.training_run.members[0].sae.processes.tokens.size
        progress = Progress(self.trainer.global_step, self._n_steps, n_tokens)
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        logs = every > 0 and (batch_idx + 1) % every == 0
        # Of each epoch: a callback may end the run after it.
        is_last = self.trainer.is_last_batch or progress.step + 1 == progress.n_steps
        self._last_bd = x_bd if is_last else None
        pace = self._pace(progress) if logs else {}

        def log(member: SaeInTraining, losses: StepLosses) -> None:
            values = member.describe(x_bd, losses, progress) | pace | {"lr": self._learning_rate(member)}
            self._log(member.name, {f"train/{name}": value for name, value in values.items()})

        found = self.training_run.gradients(x_bd, progress, self.trainer.optimizers[0], log if logs else None)
        self.log("loss", found.total, logger=False)
        return with_gradients(*found)

    def _pace(self, progress: Progress) -> dict[str, float]:
        """Tokens so far, and per second since they were last logged."""
        now, tokens = time.monotonic(), (progress.step + 1) * progress.tokens_per_step
        (earlier, then), self._logged = self._logged, (tokens, now)
        speed = {"tokens_per_s": (tokens - earlier) / (now - then)} if earlier else {}  # the first steps warm up
        return {"tokens": float(tokens), **speed}

    def _learning_rate(self, member: SaeInTraining) -> float:
        """That of an SAE in this step."""
        first = member.trained[0]
        groups = self.trainer.optimizers[0].param_groups
        return next(float(group["lr"]) for group in groups if any(one is first for one in group["params"]))

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Project the gradients: after processes are averaged, before clipping."""
        self.training_run.project_gradients()

    @override
    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients of each SAE on its own."""
        self.training_run.clip(gradient_clip_val, by_norm=gradient_clip_algorithm != "value")

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then constrain the weights: before any checkpoint of this step is written."""
        super().optimizer_step(*args, **kwargs)
        self.training_run.constrain(self._last_bd)

    def keep_outcomes(self) -> None:
        """Put what training has made of each SAE among the results."""
        for member in self.training_run.members:
            if outcome := member.outcome():
                self.results.setdefault(member.name, {})["train"] = dict(outcome)
