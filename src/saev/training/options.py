"""How an SAE is trained."""

from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import Self, Union, final, get_args, get_origin, get_type_hints

from saev.errors import InputError
from saev.nn import Progress
from saev.training.initialization import Init, Normalization
from saev.training.schedule import Decay, ramp, warmup_hold_decay

MAX_DEAD_AFTER = 10_000_000
MAX_SEED = 2**63  # What generators of torch take, and the number of a step beside it.
CHOICES = {"schedule": get_args(Decay), "normalize": get_args(Normalization), "init": get_args(Init)}
STEPS_BETWEEN_RESTARTS = 20  # Living latents are silent for some steps, too.
LAST_RESTART = 0.7  # Share of the run; later ones would find a learning rate too low to settle.


@final
@dataclass(frozen=True)
class TrainingOptions:
    """How one SAE is trained.

    Args:
        lr: Peak learning rate of Adam; by default 8e-3 where each token keeps k latents (TopK), 4e-3 for others. Some
            parameters learn at a multiple of it, see docs/training.md.
        warmup: Share of the steps over which the learning rate rises.
        decay: Share of the steps at the end over which it falls to 0.
        schedule: How it falls.
        normalize: How activations are centred and scaled: to mean 0 and one scale for all dimensions (scalar), a scale
            for each dimension, or not at all (none).
        init: Start from directions of data points, or from random ones.
        sparsity_warmup: Share of the steps over which a sparsity penalty rises from 0.
        k_start: Multiplier of k at the start, 1 or more, for architectures that have k.
        k_anneal: Share of the steps over which that multiplier falls to 1.
        auxk_coeff: Weight of the auxiliary loss that revives dead latents (AuxK); 0 leaves it out.
        k_aux: Dead latents that the auxiliary loss uses for one token.
        dead_after: Tokens without firing after which the auxiliary loss takes a latent for dead. By default a
            twentieth of the run, at least 10 steps and at most 10 million tokens.
        restarts: After each of so many equal parts of the run, but not in its last 30 %, dead latents get a new start
            in a direction that is reconstructed badly; 20 steps or more lie between. 0 leaves it out.
        seed: Fixes the initial weights.

    Raises:
        InputError: If a value is of another type or makes no sense.
    """

    lr: float | None = None
    warmup: float = 0.2
    decay: float = 0.2
    schedule: Decay = "linear"
    normalize: Normalization = "scalar"
    init: Init = "data"
    sparsity_warmup: float = 0.1
    k_start: float = 1.0
    k_anneal: float = 0.2
    auxk_coeff: float = 1 / 32
    k_aux: int = 256
    dead_after: int | None = None
    restarts: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            check_type(name, getattr(self, name), kind)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise InputError(f"{name}={getattr(self, name)!r} must be one of {', '.join(choices)}")
        if not -MAX_SEED <= self.seed < MAX_SEED:
            raise InputError(f"seed={self.seed} must have at most 63 bits")
        _at_least("lr", self.lr is None or self.lr > 0, self.lr)
        _at_least("k_aux", self.k_aux > 0, self.k_aux)
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

    def with_lr(self, peak_lr: float) -> Self:
        """With this learning rate where none was chosen."""
        return self if self.lr is not None else replace(self, lr=peak_lr)

    @property
    def peak_lr(self) -> float:
        """The learning rate, after `with_lr`."""
        assert self.lr is not None
        return self.lr

    def lr_factor(self, step: int, n_steps: int) -> float:
        """Share of lr at a step."""
        return warmup_hold_decay(step, n_steps, self.warmup, self.decay, self.schedule)

    def with_multipliers(self, progress: Progress) -> Progress:
        """The same progress with the multipliers of sparsity and k that these options have there."""
        return replace(
            progress,
            sparsity=ramp(progress.step, progress.n_steps, self.sparsity_warmup, 0.0),
            k=ramp(progress.step, progress.n_steps, self.k_anneal, self.k_start),
        )

    def dead_window(self, n_steps: int, tokens_per_step: int) -> int:
        """Tokens without firing after which a latent counts as dead."""
        if self.dead_after is not None:
            return self.dead_after
        return max(10 * tokens_per_step, min(MAX_DEAD_AFTER, n_steps * tokens_per_step // 20))

    def restarts_at(self, step: int, n_steps: int) -> bool:
        """Whether dead latents get a new start before this step."""
        every = max(STEPS_BETWEEN_RESTARTS, n_steps // self.restarts) if self.restarts else 0
        return every > 0 and step % every == 0 and 0 < step < LAST_RESTART * n_steps


def check_type(name: str, value: object, kind: object) -> None:
    """Raise InputError for a value that is no number where one is needed; others are checked where they are used."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    if not all(one in (int, float, NoneType) for one in kinds) or (value is None and NoneType in kinds):
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if int in kinds and not (is_number and isinstance(value, int)):
        raise InputError(f"{name} must be a whole number, not {value!r}")
    if float in kinds and not is_number:
        raise InputError(f"{name} must be a number, not {value!r}")


def _at_least(name: str, enough: bool, value: float | None) -> None:
    if not enough:
        raise InputError(f"{name}={value} is too small")
