"""A frozen vision transformer that gives the outputs of its blocks and says what it found out about itself.

Shapes: B images, H x W pixels, T tokens (CLS, registers, patches in row-major order), D = d_model.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError
from saev.vit.preprocess import Preprocessing
from saev.vit.weights import weights_digest


class Backbone(nn.Module, ABC):
    """A vision tower without heads, in evaluation mode for good, its parameters frozen.

    Width, number of layers and prefix tokens come from a dry forward pass on the meta device: nothing has to
    be stated, and nothing is computed.
    """

    def __init__(
        self,
        tower: nn.Module,
        *,
        family: str,
        ckpt: str,
        preprocessing: Preprocessing,
        grid: tuple[int, int],
        n_layers: int,
        cls: bool,
    ) -> None:
        super().__init__()
        self.tower = tower.eval().requires_grad_(False)
        self.family = family
        self.ckpt = ckpt
        self.preprocessing = preprocessing
        self.grid = grid
        self.n_layers = n_layers
        self.cls = cls
        self.weights_digest = weights_digest(tower)
        n_tokens, self.d_model = self._dry_run()
        self.n_registers = n_tokens - grid[0] * grid[1] - cls
        assert self.n_registers >= 0, f"{n_tokens} tokens do not hold a grid of {grid}"
        self.training = False

    @abstractmethod
    def _block_outputs(self, images: Tensor, layers: list[int]) -> list[Tensor]:
        """Outputs (B, T, D) of these blocks, ascending; the blocks after the last of them are not run."""

    @abstractmethod
    def block(self, layer: int) -> nn.Module:
        """The module whose output is the residual stream (B, T, D) after this block, counted from 0."""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """The final embedding (B, D) of images (B, 3, H, W): the whole pass, and what the model pools of it.

        Heads and projections are no part of the tower, so that they don't take part.

        Raises:
            InputError: The tower pools with weights that were left out with the heads.
        """

    @override
    def train(self, mode: bool = True) -> "Backbone":
        """Stay in evaluation mode: Lightning switches modes, and dropout would spoil the activations."""
        return super().train(False)

    def resolve_layers(self, layers: Sequence[int]) -> list[int]:
        """Turn layer numbers, negative ones counted from the end, into ascending ones without duplicates.

        Raises:
            InputError: No layer, or one that the model does not have.
        """
        wrong = [layer for layer in layers if not -self.n_layers <= layer < self.n_layers]
        if wrong or not layers:
            what = f"layer {wrong[0]} does not exist" if wrong else "no layer is given"
            raise InputError(
                f"{what}: {self.ckpt} has {self.n_layers} layers, numbered 0 to {self.n_layers - 1} "
                f"or {-self.n_layers} to -1: give some of these"
            )
        return sorted({layer % self.n_layers for layer in layers})

    @override
    def forward(self, images: Tensor, layers: Sequence[int]) -> dict[int, Tensor]:
        """Map images (B, 3, H, W) to the residual stream (B, T, D) after each of the layers, by layer number.

        The pass stops after the last layer needed.
        """
        wanted = self.resolve_layers(layers)
        return dict(zip(wanted, self._block_outputs(images, wanted), strict=True))

    def _dry_run(self) -> tuple[int, int]:
        tensors = [*self.named_parameters(), *self.named_buffers()]
        images = torch.empty(1, 3, *self.preprocessing.image_size, device="meta")
        on_meta = {name: tensor.to("meta") for name, tensor in tensors}
        outputs: dict[int, Tensor] = torch.func.functional_call(self, on_meta, (images, range(self.n_layers)))
        shapes = {tuple(output.shape) for output in outputs.values()}
        assert len(shapes) == 1, f"blocks of a plain ViT give one shape, not {shapes}"
        _, n_tokens, d_model = shapes.pop()
        return n_tokens, d_model
