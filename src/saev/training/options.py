"""How an SAE is trained."""

from dataclasses import asdict, dataclass
from typing import Any, Self, final, get_args

from saev.errors import InputError
from saev.nn import Step
from saev.training.initialization import Init, Normalization
from saev.training.schedule import Decay, ramp, warmup_hold_decay

MOST_DEAD_AFTER = 10_000_000
CHOICES = {"schedule": get_args(Decay), "normalize": get_args(Normalization), "init": get_args(Init)}
STEPS_BETWEEN_RESTARTS = 20  # Living latents are silent for some steps, too.
LAST_RESTART = 0.7  # Share of the run; later ones would find a learning rate too low to settle.


@final
@dataclass(frozen=True)
class TrainingOptions:
    """What `SAELightningModule` trains one SAE with; described there.

    Raises:
        InputError: If a number makes no sense.
    """

    lr: float
    warmup: float
    decay: float
    schedule: Decay
    normalize: Normalization
    init: Init
    sparsity_warmup: float
    k_start: float
    k_anneal: float
    auxk_coeff: float
    k_aux: int
    dead_after: int | None
    restarts: int
    seed: int

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name}={getattr(self, name)!r} must be one of {', '.join(choices)}")
        for name in ("k_aux", "restarts", "seed"):
            if type(getattr(self, name)) is not int:
                raise InputError(f"{name}={getattr(self, name)!r} must be a whole number")
        for name in ("lr", "k_aux"):
            _at_least(name, getattr(self, name) > 0, getattr(self, name))
        for name in ("warmup", "decay", "auxk_coeff", "restarts", "sparsity_warmup", "k_anneal"):
            _at_least(name, getattr(self, name) >= 0, getattr(self, name))
        _at_least("k_start", self.k_start >= 1, self.k_start)
        if self.dead_after is not None and self.dead_after < 1:
            raise InputError(f"dead_after={self.dead_after} must be 1 token or more")
        if self.warmup + self.decay > 1:
            raise InputError(f"warmup={self.warmup} and decay={self.decay} are shares: at most 1 together")
        if max(self.sparsity_warmup, self.k_anneal) > 1:
            raise InputError(
                f"sparsity_warmup={self.sparsity_warmup} and k_anneal={self.k_anneal} are shares: at most 1"
            )

    @classmethod
    def names(cls) -> list[str]:
        """All options."""
        return list(cls.__dataclass_fields__)

    def to_dict(self) -> dict[str, Any]:
        """All options and their values."""
        return asdict(self)

    def replaced(self, changes: dict[str, Any]) -> Self:
        """With other values of some options."""
        return type(self)(**(asdict(self) | changes))

    def lr_factor(self, step: int, n_steps: int) -> float:
        """Share of lr at a step."""
        return warmup_hold_decay(step, n_steps, self.warmup, self.decay, self.schedule)

    def step(self, number: int, n_steps: int) -> Step:
        """Where a run stands."""
        return Step(
            number=number,
            sparsity=ramp(number, n_steps, self.sparsity_warmup, 0.0),
            k=ramp(number, n_steps, self.k_anneal, self.k_start),
        )

    def dead_window(self, n_steps: int, tokens_per_step: int) -> int:
        """Tokens without firing after which a latent counts as dead."""
        if self.dead_after is not None:
            return self.dead_after
        return max(10 * tokens_per_step, min(MOST_DEAD_AFTER, n_steps * tokens_per_step // 20))

    def restarts_at(self, step: int, n_steps: int) -> bool:
        """Whether dead latents get a new start before this step."""
        every = max(STEPS_BETWEEN_RESTARTS, n_steps // self.restarts) if self.restarts else 0
        return every > 0 and step % every == 0 and 0 < step < LAST_RESTART * n_steps


def _at_least(name: str, enough: bool, value: float) -> None:
    if not enough:
        raise InputError(f"{name}={value} is too small")
