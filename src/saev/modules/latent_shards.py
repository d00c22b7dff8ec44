"""How Lightning runs processes that divide the latents of an SAE."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from typing_extensions import override

from saev.nn.sharding import gathered, own_part

State = dict[str, Any]
Converter = Callable[[Tensor, int], Tensor]
"""Makes a whole tensor, of latents along a dimension, of a part, or the other way around."""


class LatentShards(DDPStrategy):
    """DDP for processes that all see the same batches and have latents of their own.

    What belongs to latents is left out of what DDP broadcasts and averages; it keeps b_dec and the normalisation the
    same everywhere. Checkpoints hold all latents, weights and moments, so that a run goes on with any number of
    processes that divide the latents, or with none that do.
    """

    @property
    @override
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        """Every process gets whole batches."""
        return {"num_replicas": 1, "rank": 0}

    @override
    def setup(self, trainer: lightning.Trainer) -> None:
        """Keep DDP away from the latents."""
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(  # type: ignore[no-untyped-call]
            self.lightning_module, list(self._dims())
        )
        super().setup(trainer)

    @override
    def lightning_module_state_dict(self) -> State:
        """The state of the module with all latents, in process 0."""
        dims = self._dims()
        state = super().lightning_module_state_dict()
        return {name: gathered(value, dims[name]) if name in dims else value for name, value in state.items()}

    @override
    def optimizer_state(self, optimizer: Optimizer) -> State:
        """The moments of all latents, in process 0."""
        return self._converted(super().optimizer_state(optimizer), optimizer, gathered)

    @override
    def load_model_state_dict(self, checkpoint: Mapping[str, Any], strict: bool = True) -> None:
        """Take the own latents out of a checkpoint."""
        dims = self._dims()
        state = {
            name: own_part(value, dims[name]) if name in dims else value
            for name, value in checkpoint["state_dict"].items()
        }
        super().load_model_state_dict({**checkpoint, "state_dict": state}, strict)

    @override
    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take the moments of the own latents out of a checkpoint."""
        states = [
            self._converted(state, optimizer, own_part)
            for state, optimizer in zip(checkpoint["optimizer_states"], self.optimizers, strict=True)
        ]
        super().load_optimizer_state_dict({**checkpoint, "optimizer_states": states})

    def _dims(self) -> dict[str, int]:
        module: Any = self.lightning_module  # an SAELightningModule
        dims: dict[str, int] = module.latent_dims()
        return dims

    def _converted(self, state: State, optimizer: Optimizer, convert: Converter) -> State:
        """The state of an optimizer, with each moment of latents converted."""
        assert self.lightning_module is not None
        names = {weight: name for name, weight in self.lightning_module.named_parameters()}
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        dims = {number: self._dims().get(names[weight]) for number, weight in enumerate(weights)}
        moments = {number: _each(of_one, dims[number], convert) for number, of_one in state["state"].items()}
        return {**state, "state": moments}


def _each(moments: Mapping[str, Tensor], dim: int | None, convert: Converter) -> dict[str, Tensor]:
    # The number of steps, which has no dimension, is not of latents.
    return {name: value if dim is None or value.dim() == 0 else convert(value, dim) for name, value in moments.items()}
