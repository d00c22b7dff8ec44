"""Whether the training of SAEs fits memory at all, found out before it starts.

All figures are lower bounds: what is refused could not run. What passes may still run out of memory later.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch

from saev.byte_text import byte_text
from saev.errors import InputError
from saev.free_memory import known_free_memory
from saev.training.spec import SaeSpec, n_fitting, part_of_sweep

FLOAT_BYTES: Final = 4
TRAINED_BYTES: Final = 4 * FLOAT_BYTES
"""Of a parameter in training: itself, its gradient, and two moments of Adam."""


@final
@dataclass(frozen=True)
class TrainingNeed:
    """Bytes that training takes at least, in one process."""

    weights: int  # Parameters.
    optimizer: int  # Gradients and Adam's moments.
    batch: int  # Activations of a step, as they are and normalised.
    sample: int  # Activations that training starts from.

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


def training_need(specs: Sequence[SaeSpec], n_parts: int, batch_size: int, n_sample: int) -> TrainingNeed:
    """What SAEs take that are trained at the same time.

    Args:
        specs: The SAEs, one or more.
        n_parts: Processes that divide the latents of each; 1 where they divide the tokens.
        batch_size: Tokens of a step in a process.
        n_sample: Tokens of the sample.
    """
    n_parameters = sum(spec.n_parameters for spec in specs) // n_parts
    n_trained = sum(spec.n_trained for spec in specs) // n_parts
    token_bytes = FLOAT_BYTES * specs[0].d_in
    return TrainingNeed(
        weights=FLOAT_BYTES * n_parameters,
        optimizer=(TRAINED_BYTES - FLOAT_BYTES) * n_trained,
        batch=2 * token_bytes * batch_size,
        sample=token_bytes * n_sample,
    )


def check_weights_fit(specs: Sequence[SaeSpec], sweep: Mapping[str, Sequence[Any]]) -> None:
    """Raise InputError unless SAEs can be built, which is done in main memory."""
    if (found := known_free_memory()) is not None:
        need = training_need(specs, n_parts=1, batch_size=0, n_sample=0)
        check_fits(specs, sweep, need.weights, "weights alone", *found)


def check_fits(
    specs: Sequence[SaeSpec], sweep: Mapping[str, Sequence[Any]], n_bytes: int, what: str, free: int, where: str
) -> None:
    """Compare what SAEs need with what is free.

    Args:
        specs: The SAEs, one or more, which are trained at the same time.
        sweep: Options and values that they are the combinations of.
        n_bytes: What they need.
        what: The same in words.
        free: Bytes that are free.
        where: Whose they are.

    Raises:
        InputError: If they are too few; says how many of the SAEs of a sweep fit, and which.
    """
    if n_bytes <= free:
        return
    others = f" and {len(specs) - 1} more at the same time" if len(specs) > 1 else ""
    advice = (
        "give fewer latents (d_sae), a smaller --data.batch_size, or divide the latents among processes "
        "(--model.shard_latents true --trainer.devices N)"
    )
    if len(specs) > 1 and (n := min(len(specs) - 1, n_fitting(specs, free))):
        part = json.dumps(part_of_sweep(sweep, n))
        advice = f"{n} of them fit: train the sweep in several runs, the first one with --model.sweep '{part}'"
    raise InputError(
        f"{specs[0].name}{others}: training takes {byte_text(n_bytes)} of memory at least ({what}), {byte_text(free)} "
        f"are free on {where}: {advice}"
    )


def check_training_fits(
    specs: Sequence[SaeSpec], sweep: Mapping[str, Sequence[Any]], need: TrainingNeed, device: torch.device, built: int
) -> None:
    """Check whether training fits the memory of a device.

    Args:
        specs: The SAEs, one or more, which are trained at the same time.
        sweep: Options and values that they are the combinations of.
        built: Bytes of weights that are in main memory already.

    Raises:
        InputError: If it certainly does not.
    """
    if device.type == "cuda":
        check_fits(specs, sweep, need.total, str(need), torch.cuda.mem_get_info(device)[0], str(device))
    elif (found := known_free_memory()) is not None:
        check_fits(specs, sweep, need.total, str(need), found[0] + built, found[1])
