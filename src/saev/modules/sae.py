"""Training and evaluation of one SAE."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, Protocol, cast

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.metrics import CodeStatistics, ReconstructionQuality, fraction_of_variance_unexplained
from saev.nn import SparseAutoencoder, TopK
from saev.nn.initialization import initialize_from_data, set_normalization
from saev.nn.resampling import forget_moments, restart_latents, worst_directions
from saev.objectives import AuxK, StepLosses, step_losses
from saev.objectives.schedule import warmup_hold_decay

INIT_TOKENS = 65_536
MOST_DEAD_AFTER = 10_000_000
LAST_RESTART = 0.7  # Share of the run; later ones would find a learning rate too low to settle.
SETTINGS_KEY = "saev_settings"


class TokenSource(Protocol):
    """The part of a data module that training starts from."""

    def sample(self, n_tokens: int) -> Tensor:
        """Raw activations (n_tokens, d_in)."""


class SAELightningModule(lightning.LightningModule):
    """Trains a sparse autoencoder on batches of raw activations (b, d_in).

    At the start the mean and scale of the activations are estimated on a sample and stored in the SAE. The rows
    of W_dec have norm 1 after each step.

    Args:
        sae: Architecture and its options; d_in comes from the activations.
        d_in: Width of the activations.
        lr: Peak learning rate of Adam.
        warmup: Share of the steps over which the learning rate rises.
        decay: Share of the steps at the end over which it falls to 0.
        init: Start from directions of data points, or from random ones.
        auxk_coeff: Weight of the auxiliary loss that revives dead latents (AuxK); 0 leaves it out.
        k_aux: Dead latents that the auxiliary loss uses for one token.
        dead_after: Tokens without firing after which the auxiliary loss takes a latent for dead. By default a
            twentieth of the run, at most 10 million.
        restarts: How often dead latents get a new start in a direction that is reconstructed badly, spread evenly
            over the first 70 % of the run; 0 leaves it out.
        seed: Fixes the initial weights.

    Raises:
        InputError: If a number makes no sense.
    """

    silent_tokens_s: Tensor

    def __init__(
        self,
        sae: Callable[[int], SparseAutoencoder] = lambda d_in: TopK(d_in),
        d_in: int = 768,
        lr: float = 3e-3,
        warmup: float = 0.1,
        decay: float = 0.2,
        init: Literal["data", "random"] = "data",
        auxk_coeff: float = 1 / 32,
        k_aux: int = 256,
        dead_after: int | None = None,
        restarts: int = 10,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if dead_after is not None and dead_after < 1:
            raise InputError(f"dead_after={dead_after} must be 1 token or more")
        _check(lr=lr, warmup=warmup, decay=decay, auxk_coeff=auxk_coeff, k_aux=k_aux, restarts=restarts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.sae = sae(d_in)
        self._lr, self._warmup, self._decay = lr, warmup, decay
        self._init, self._seed = init, seed
        self._aux = AuxK(auxk_coeff, k_aux)
        self._dead_after = dead_after
        self._restarts = restarts
        # Tokens seen by all processes since each latent fired. Saved: a resumed run revives the same latents.
        self.register_buffer("silent_tokens_s", torch.zeros(self.sae.d_sae, dtype=torch.int64))
        self._reconstruction = ReconstructionQuality(d_in)
        self._codes = CodeStatistics(self.sae.d_sae)

    def adopt(self, sae: SparseAutoencoder) -> None:
        """Evaluate this SAE instead of the one that was built."""
        self.sae = sae
        self._codes = CodeStatistics(sae.d_sae)
        self._reconstruction = ReconstructionQuality(sae.d_in)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note what the run was started with."""
        checkpoint[SETTINGS_KEY] = self._settings()

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse the checkpoint of a run with other settings, part of which it would silently bring back.

        Raises:
            InputError: Naming the differences.
        """
        saved, now = checkpoint.get(SETTINGS_KEY, {}), self._settings()
        changed = [
            f"{key} was {saved.get(key)} and is {now.get(key)}" for key in saved | now if saved.get(key) != now.get(key)
        ]
        if changed:
            raise InputError(f"the run cannot go on with another SAE or optimizer: {'; '.join(changed)}")

    def _settings(self) -> dict[str, Any]:
        sae = {"sae": type(self.sae).__name__, "d_in": self.sae.d_in, **self.sae.options()}
        return {
            **sae,
            "lr": self._lr,
            "warmup": self._warmup,
            "decay": self._decay,
            "init": self._init,
            "restarts": self._restarts,
            "seed": self._seed,
        }

    @override
    def on_fit_start(self) -> None:
        """Set the normalisation and the first weights from data, unless a checkpoint brings them."""
        if self.trainer.ckpt_path is not None:
            return
        source = cast(TokenSource, self.trainer.datamodule)  # type: ignore[attr-defined]
        x_nd = source.sample(max(INIT_TOKENS, self.sae.d_sae)).to(self.device)
        set_normalization(self.sae, x_nd)
        if self._init == "data":
            initialize_from_data(self.sae, x_nd, torch.Generator().manual_seed(self._seed))
        for tensor in self.sae.state_dict().values():
            # Processes on unlike hardware may round, and then draw, differently.
            tensor.copy_(self.trainer.strategy.broadcast(tensor))

    @override
    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Adam, with the learning rate set at each step."""
        n_steps = int(self.trainer.estimated_stepping_batches)
        factor = partial(warmup_hold_decay, n_steps=n_steps, warmup=self._warmup, decay=self._decay)
        optimizer = torch.optim.Adam(self.sae.parameters(), lr=self._lr)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    @override
    def training_step(self, x_bd: Tensor, batch_idx: int) -> Tensor:
        """The loss of a batch of raw activations (b, d_in), in whatever dtype they are stored."""
        x_bd = x_bd.float()  # here and not before: fewer bytes go to the device
        n_tokens = len(x_bd) * self.trainer.world_size
        window = self._dead_window(n_tokens)
        if self._restart_is_due():
            self._restart(x_bd, self.silent_tokens_s >= window)
        dead_s = self.silent_tokens_s >= window
        losses = step_losses(self.sae, x_bd, dead_s, self._aux)
        self._check_finite(losses.total)
        self._count_silence(losses.codes, n_tokens)
        if (batch_idx + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._log_step(x_bd, losses, dead_s)
        self.log("loss", losses.total.detach(), prog_bar=True, logger=False)
        return losses.total

    def _check_finite(self, loss: Tensor) -> None:
        if not loss.isfinite():
            raise InputError(
                f"the loss is {loss.item()} at step {self.trainer.global_step}: the run diverges, lower "
                f"--model.lr, now {self._lr:g}, or look for values that are not finite in the shards"
            )

    def _dead_window(self, n_tokens: int) -> int:
        if self._dead_after is not None:
            return self._dead_after
        run = int(self.trainer.estimated_stepping_batches) * n_tokens
        return min(MOST_DEAD_AFTER, max(n_tokens, run // 20))

    def _restart_is_due(self) -> bool:
        step, n_steps = self.trainer.global_step, int(self.trainer.estimated_stepping_batches)
        every = n_steps // self._restarts if self._restarts else 0
        return every > 0 and step % every == 0 and 0 < step < LAST_RESTART * n_steps

    @torch.no_grad()
    def _restart(self, x_bd: Tensor, dead_s: Tensor) -> None:
        latents_a = dead_s.nonzero().squeeze(-1)[: len(x_bd)]
        if not 0 < len(latents_a) < self.sae.d_sae:
            return
        # Seeded by the step: a resumed run draws what the undisturbed one draws.
        generator = torch.Generator().manual_seed(self._seed + self.trainer.global_step)
        directions_ad = worst_directions(self.sae, x_bd, len(latents_a), generator)
        restart_latents(self.sae, latents_a, self.trainer.strategy.broadcast(directions_ad).to(x_bd))
        forget_moments(self.trainer.optimizers[0], self.sae, latents_a)
        self.silent_tokens_s[latents_a] = 0

    @torch.no_grad()
    def _count_silence(self, f_bs: Tensor, n_tokens: int) -> None:
        fired_s = (f_bs > 0).any(0)
        if self.trainer.world_size > 1:
            # A latent that fires in one process only is alive; the buffer stays the same in all of them.
            fired_s = cast(Tensor, self.all_gather(fired_s)).any(0)
        self.silent_tokens_s.add_(n_tokens).masked_fill_(fired_s, 0)

    @torch.no_grad()
    def _log_step(self, x_bd: Tensor, losses: StepLosses, dead_s: Tensor) -> None:
        # Not self.log: for eight keys it would cost more than it is worth, even when it throws the values away.
        values = {
            "train/loss": losses.total,
            "train/mse": losses.mse,
            "train/sparsity": losses.sparsity,
            "train/auxk": losses.auxk,
            "train/fvu": fraction_of_variance_unexplained(x_bd, self.sae.decode(losses.codes)),
            "train/l0": (losses.codes > 0).sum() / len(x_bd),
            "train/l1": losses.codes.sum() / len(x_bd),
            "train/dead": dead_s.float().mean(),
        }
        step = self.trainer.global_step
        for logger in self.loggers:
            logger.log_metrics({name: value.item() for name, value in values.items()}, step=step)

    @override
    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Remove the gradient that only changes norms: after processes are averaged, before clipping."""
        self.sae.remove_parallel_gradient()

    @override
    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then give the rows of W_dec norm 1: before any checkpoint of this step is written."""
        super().optimizer_step(*args, **kwargs)
        self.sae.normalize_decoder()

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
        f_bs = self.sae.encode(x_bd)
        self._codes.update(f_bs)
        self._reconstruction.update(x_bd, self.sae.decode(f_bs))

    @override
    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the held-out tokens as ``val/...``."""
        self._log_epoch("val")

    @override
    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test tokens as ``test/...``."""
        self._log_epoch("test")

    def _log_epoch(self, stage: str) -> None:
        for metric in (self._reconstruction, self._codes):
            self.log_dict({f"{stage}/{name}": value.float() for name, value in metric.compute().items()})
            metric.reset()


def _check(**numbers: float) -> None:
    """Raise InputError where a number is out of its range."""
    for name, value in numbers.items():
        low_ok = value > 0 if name in ("lr", "k_aux") else value >= 0
        if not low_ok:
            raise InputError(f"{name}={value} is too small")
    if numbers["warmup"] + numbers["decay"] > 1:
        raise InputError(f"warmup={numbers['warmup']} and decay={numbers['decay']} are shares: at most 1 together")
