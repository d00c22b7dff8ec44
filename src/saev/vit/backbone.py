"""A frozen vision transformer that gives the outputs of its blocks and says what it found out about itself.

Shapes: B images, H x W pixels, T tokens (CLS, registers, patches in row-major order), D = d_model.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import torch
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError
from saev.registry import Registry, path_of
from saev.vit.preprocess import Preprocessing
from saev.vit.refusals import MODEL, Options
from saev.vit.weights import weights_digest

PRECISIONS: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}
"""What a forward pass computes in."""


@final
@dataclass(frozen=True)
class ModelChoice:
    """Which model, as a user or a recording names it.

    Args:
        family: A name of the backbone's class.
        weights: A .safetensors or .pt file, ``random`` (the same ones each time), or None: the network.
        image_size: Height and width in pixels; None is the model's own.
        options: What refusals call all this.
    """

    family: str
    ckpt: str
    weights: str | None = None
    image_size: tuple[int, int] | None = None
    options: Options = MODEL


class _EnoughError(Exception):
    """Ends a pass after the last block whose output is wanted."""


class Backbone(nn.Module, ABC):
    """A vision tower without heads, in evaluation mode for good, its parameters frozen.

    A class of one's own has `load`, `block` and `embed`. Width and register tokens come from a dry forward pass on the
    meta device: nothing has to be stated, and nothing is computed.

    Args:
        tower: The model. Its tensors make the digest of the weights.
        family: The name that recordings know the class by, from the `ModelChoice`.
        ckpt: The name of the model, from there too.
        preprocessing: What pictures go through.
        grid: Rows and columns of patches.
        n_layers: Number of blocks.
        cls: Whether the first token is a CLS token. Registers follow, then patches in row-major order.

    Raises:
        InputError: If the blocks do not give (B, T, D) of one shape, or fewer tokens than there are.
    """

    families: ClassVar[tuple[str, ...]] = ()
    """Names that ``--model.family`` takes for it, by default that of the class."""

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
        if self.n_registers < 0:
            raise InputError(
                f"{path_of(type(self))}: the blocks of {ckpt} give {n_tokens} tokens, a grid of {grid} "
                f"{'and CLS have' if cls else 'has'} {grid[0] * grid[1] + cls}: correct grid or cls"
            )
        self.training = False

    @classmethod
    @abstractmethod
    def load(cls, choice: ModelChoice) -> "Backbone":
        """Build a model and load its weights. torch's random numbers are seeded before, and put back after it.

        Raises:
            InputError: If there is no such model, or weights or size do not fit.
        """

    @classmethod
    def has_model(cls, family: str, ckpt: str) -> bool:  # noqa: ARG003 - for classes that know names
        """Whether one of its families is known to have a model of this name: a hint for who gives another family."""
        return False

    @abstractmethod
    def block(self, layer: int) -> nn.Module:
        """The module whose output is the residual stream (B, T, D) after this block, counted from 0.

        The output may also be a tuple that begins with it.
        """

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """The final embedding (B, D) of images (B, 3, H, W): the whole pass, and what the model pools of it.

        Heads and projections are no part of the tower, so that they don't take part.

        Raises:
            InputError: The tower pools with weights that were left out with the heads.
        """

    def block_outputs(self, images: Tensor, layers: list[int]) -> list[Tensor]:
        """Outputs (B, T, D) of these blocks, ascending; the blocks after the last of them are not run.

        Here with hooks on the blocks and `embed`; libraries have ways of their own.
        """
        outputs: dict[int, Tensor] = {}

        def keeper(layer: int) -> Any:
            def keep(_block: object, _inputs: object, output: Any) -> None:
                outputs[layer] = output[0] if isinstance(output, tuple) else output
                if layer == layers[-1]:
                    raise _EnoughError

            return keep

        hooks = [self.block(layer).register_forward_hook(keeper(layer)) for layer in layers]
        try:
            self.embed(images)
        except _EnoughError:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if missing := [layer for layer in layers if layer not in outputs]:
            raise InputError(f"{path_of(type(self))}: embed() does not run through the blocks {missing} of {self.ckpt}")
        return [outputs[layer] for layer in layers]

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
        return dict(zip(wanted, self.block_outputs(images, wanted), strict=True))

    def _dry_run(self) -> tuple[int, int]:
        tensors = [*self.named_parameters(), *self.named_buffers()]
        images = torch.empty(1, 3, *self.preprocessing.image_size, device="meta")
        on_meta = {name: tensor.to("meta") for name, tensor in tensors}
        outputs: dict[int, Tensor] = torch.func.functional_call(self, on_meta, (images, range(self.n_layers)))
        shapes = {tuple(output.shape) for output in outputs.values()}
        if len(shapes) > 1 or any(len(shape) != 3 for shape in shapes):
            raise InputError(
                f"{path_of(type(self))}: the blocks of {self.ckpt} give {' and '.join(map(str, sorted(shapes)))}: they "
                "must give one shape, (images, tokens, width)"
            )
        _, n_tokens, d_model = shapes.pop()
        return n_tokens, d_model


BACKBONES: Registry[Backbone] = Registry(
    Backbone, "backbone", "saev.backbones", lambda cls: cls.families or (cls.__name__,)
)
