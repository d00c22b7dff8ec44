"""Whether the training of SAEs fits memory at all, found out before it starts.

All figures are lower bounds: what is refused could not run. What passes may still run out of memory later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from saev.byte_text import byte_text
from saev.errors import InputError
from saev.free_memory import known_free_memory
from saev.training.spec import Recipe

FLOAT_BYTES: Final = 4
TRAINED_BYTES: Final = 4 * FLOAT_BYTES
"""Of a parameter in training: itself, its gradient, and two moments of Adam."""


@final
@dataclass(frozen=True)
class TrainingNeed:
    """Bytes that training takes at least, in one process.

    Args:
        weights: Parameters.
        optimizer: Gradients and Adam's moments.
        batch: Activations of a step, as they are and normalised.
        sample: Activations that training starts from.
    """

    weights: int
    optimizer: int
    batch: int
    sample: int

    @property
    def total(self) -> int:
        """At the start or in a step, whichever takes more."""
        return self.weights + max(self.optimizer + self.batch, self.sample)

    def __str__(self) -> str:
        parts = {
            "weights": self.weights,
            "gradients and Adam's moments": self.optimizer,
            "a batch": self.batch,
            "the sample to start from": self.sample,
        }
        return ", ".join(f"{name} {byte_text(n)}" for name, n in parts.items())


def training_need(recipes: Sequence[Recipe], n_parts: int, batch_size: int, n_sample: int) -> TrainingNeed:
    """What SAEs take that are trained at the same time.

    Args:
        recipes: The SAEs, one or more.
        n_parts: Processes that divide the latents of each; 1 where they divide the tokens.
        batch_size: Tokens of a step in a process.
        n_sample: Tokens of the sample.
    """
    n_parameters = sum(recipe.n_parameters for recipe in recipes) // n_parts
    n_trained = sum(recipe.n_trained for recipe in recipes) // n_parts
    token_bytes = FLOAT_BYTES * recipes[0].d_in
    return TrainingNeed(
        weights=FLOAT_BYTES * n_parameters,
        optimizer=(TRAINED_BYTES - FLOAT_BYTES) * n_trained,
        batch=2 * token_bytes * batch_size,
        sample=token_bytes * n_sample,
    )


def check_weights_fit(recipes: Sequence[Recipe]) -> None:
    """See whether SAEs can be built, which is done in main memory.

    Raises:
        InputError: If not.
    """
    found = known_free_memory()
    if recipes and found is not None:
        need = training_need(recipes, n_parts=1, batch_size=0, n_sample=0)
        check_fits(recipes, need.weights, "weights alone", *found)


def check_fits(recipes: Sequence[Recipe], n_bytes: int, what: str, free: int, where: str) -> None:
    """Compare what SAEs need with what is free.

    Args:
        recipes: The SAEs, one or more.
        n_bytes: What they need.
        what: The same in words.
        free: Bytes that are free.
        where: Whose they are.

    Raises:
        InputError: If they are too few.
    """
    if n_bytes > free:
        others = f" and {len(recipes) - 1} more at the same time" if len(recipes) > 1 else ""
        raise InputError(
            f"{recipes[0].name}{others}: training takes {byte_text(n_bytes)} of memory at least ({what}), "
            f"{byte_text(free)} are free on {where}: give fewer latents (d_sae), fewer SAEs at a time "
            "(--model.at_once), a smaller --data.batch_size, or divide the latents among processes "
            "(--model.shard_latents true --trainer.devices N)"
        )
