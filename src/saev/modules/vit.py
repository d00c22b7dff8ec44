"""The ViT whose activations are recorded."""

from typing import Literal

import lightning
from torch import Tensor
from typing_extensions import override

from saev.errors import InputError
from saev.vit.backbone import PRECISIONS
from saev.vit.load import load_backbone
from saev.vit.preprocess import Preprocessing


class VitLightningModule(lightning.LightningModule):
    """A frozen ViT: predicts the outputs of its blocks (the residual stream).

    Width, patch grid, prefix tokens, preprocessing and activation function are found out. What you state all
    the same is checked against it.

    Args:
        family: clip or siglip (open_clip), dinov2, dinov3 or timm (timm), or a backbone of your own: MODULE.CLASS, or
            the name of one that is registered.
        ckpt: ARCH/TAG such as ViT-B-32/openai (open_clip), a timm name, hf-hub:..., or saev-demo/scenes, a tiny CLIP
            that comes with saev.
        layers: Blocks to record, from 0; negative numbers count from the end.
        weights: A .safetensors or .pt file to take the weights from, or "random" for a try without weights;
            by default they come from the network.
        image_size: Side of the square pictures that the ViT gets, in pixels; by default what it was trained at.
        precision: Of the forward pass.
        d_vit: Expected width of the ViT; only checked.
        n_patches_per_img: Expected number of patches of an image; only checked.

    Raises:
        InputError: If the model cannot be had or is not what was stated.
    """

    def __init__(
        self,
        family: str,
        ckpt: str,
        layers: list[int],
        weights: str | None = None,
        image_size: int | None = None,
        precision: Literal["float32", "bfloat16"] = "float32",
        d_vit: int | None = None,
        n_patches_per_img: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = load_backbone(family, ckpt, weights=weights, image_size=image_size)
        self.layers = self.backbone.resolve_layers(layers)
        self.precision = precision
        n_patches = self.backbone.grid[0] * self.backbone.grid[1]
        _check_stated("d_vit", d_vit, self.backbone.d_model, ckpt)
        _check_stated("n_patches_per_img", n_patches_per_img, n_patches, ckpt)
        self.backbone.to(PRECISIONS[precision])

    @property
    def preprocessing(self) -> Preprocessing:
        """How pictures become the ViT's input."""
        return self.backbone.preprocessing

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.backbone.grid

    @override
    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[int, Tensor]:
        """Activations (images, tokens, d_model) of each layer asked for, in the precision of the pass."""
        images = batch["image"].to(PRECISIONS[self.precision])
        activations: dict[int, Tensor] = self.backbone(images, self.layers)
        return activations


def _check_stated(name: str, stated: int | None, found: int, ckpt: str) -> None:
    if stated is not None and stated != found:
        raise InputError(f"--model.{name} {stated} was stated, but {ckpt} has {found}: correct it or leave it out")
