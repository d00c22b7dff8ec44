"""What a checkpoint must hold, so that a run goes on as if nothing had happened."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import lightning
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import Tensor

from saev.errors import InputError
from saev.training.state import SaeInTraining

Shape = tuple[int, ...]
_OTHER: Final = "the run cannot go on with another SAE or training"
_MOMENTS: Final = ("exp_avg", "exp_avg_sq")
TRAINER_SETTINGS: Final = {"precision", "gradient_clip_val", "gradient_clip_algorithm"}
PRECISIONS: Final = ("32-true", "bf16-mixed")
"""Of a trainer, as it names them itself."""


def check_trainer(trainer: lightning.Trainer) -> None:
    """Raise InputError if a trainer sums gradients of several batches, scales them, or changes weights' precision."""
    callbacks: list[lightning.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    schedulers = [one for one in callbacks if isinstance(one, GradientAccumulationScheduler)]
    n = max([trainer.accumulate_grad_batches, *(max(one.scheduling.values()) for one in schedulers)])
    if n != 1:
        raise InputError(f"accumulate_grad_batches={n} would sum gradients: leave it out, and give larger batches")
    if trainer.precision not in PRECISIONS:
        raise InputError(f"precision={trainer.precision}: weights stay float32, give one of {', '.join(PRECISIONS)}")


def trainer_settings(trainer: lightning.Trainer) -> dict[str, object]:
    """The trainer's options that shape the weights.

    Others may change when a run goes on: devices and processes give the same up to rounding, and how often something is
    logged, shown or validated does not change a weight.
    """
    clips = trainer.gradient_clip_val or None
    algorithm = trainer.gradient_clip_algorithm
    return {
        "precision": str(trainer.precision),
        "gradient_clip_val": clips,
        "gradient_clip_algorithm": None if clips is None else "norm" if algorithm is None else str(algorithm.value),
    }


def check_same(earlier: Sequence[Mapping[str, object]], now: Sequence[Mapping[str, object]]) -> None:
    """Compare the settings that SAEs were trained with before with those of now.

    Raises:
        InputError: Naming the differences, or the settings that the version of saev which wrote them did not note.
    """
    if len(earlier) != len(now):
        raise InputError(f"{_OTHER}: the number of SAEs was {len(earlier)} and is {len(now)}")
    pairs = list(zip(earlier, now, strict=True))
    if unknown := {
        key for before, after in pairs if before.get("sae") == after.get("sae") for key in after.keys() - before
    }:
        raise InputError(
            f"the run was started by another version of saev, which did not note {', '.join(sorted(unknown))}: go on "
            "with that version, or start a new run"
        )
    changes = [
        f"{key} was {before.get(key)} and is {after.get(key)}"
        for before, after in pairs
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    ]
    if changes:
        raise InputError(f"{_OTHER}: {'; '.join(dict.fromkeys(changes))}")


def check_keys(checkpoint: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    """Raise InputError if a part is missing; `kinds` are the parts by name, and what each of them is."""
    _refuse([name for name, kind in kinds.items() if not isinstance(checkpoint.get(name), kind)])


def check_resumable(
    checkpoint: Mapping[str, Any],
    module: lightning.LightningModule,
    members: Sequence[SaeInTraining],
    divided: Mapping[str, int],
) -> None:
    """Check whether a checkpoint holds all that a module needs to go on.

    Args:
        checkpoint: What was read.
        module: The module in training.
        members: Its SAEs.
        divided: By its name in the state, each tensor that processes divide, and along which dimension.

    Raises:
        InputError: If something is missing or has another shape; names what.
    """
    kinds: dict[str, type] = {"optimizer_states": list, "lr_schedulers": list, "loops": dict}
    if (data := module.trainer.datamodule) is not None:  # type: ignore[attr-defined]
        kinds[type(data).__qualname__] = dict
    check_keys(checkpoint, kinds)
    n = members[0].sae.processes.latents.size
    shapes = {  # with all latents, as a checkpoint has them
        name: tuple(size * n if dim == divided.get(name) else size for dim, size in enumerate(tensor.shape))
        for name, tensor in module.state_dict().items()
    }
    names = {parameter: name for name, parameter in module.named_parameters()}
    trained = [names[weight] for member in members for group in member.groups() for weight in group["params"]]
    faults = list(_other_shapes("state_dict", checkpoint["state_dict"], shapes))
    for part in ("optimizer_states", "lr_schedulers"):
        if len(checkpoint[part]) != 1 or not isinstance(checkpoint[part][0], dict):
            faults.append(f"the one entry of {part} (it has {len(checkpoint[part])})")
    if not faults:
        moments = checkpoint["optimizer_states"][0].get("state", {})
        for number, name in enumerate(trained):
            expected = dict.fromkeys(_MOMENTS, shapes[name])
            faults += _other_shapes(f"optimizer_states for {name}", moments.get(number, {}), expected)
    kept = checkpoint["loops"].get("fit_loop", {})
    faults += [f"loops: {name}" for name in module.trainer.fit_loop.state_dict() if name not in kept]
    _refuse(faults)


def _other_shapes(where: str, found: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Iterable[str]:
    for name, shape in shapes.items():
        tensor = found.get(name)
        if not isinstance(tensor, Tensor):
            yield f"{where}: {name}"
        elif tensor.shape != shape:
            yield f"{where}: {name} of shape {shape} (it has {tuple(tensor.shape)})"


def _refuse(lacking: Sequence[str]) -> None:
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise InputError(f"the checkpoint lacks {', '.join(lacking[:3])}{more}: it is damaged, start a new run")
