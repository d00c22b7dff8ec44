"""Vision towers of open_clip: its own ViT, and timm ViTs (SigLIP, EVA) inside an open_clip model."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch

# Private, but the one way to build the tower without the text tower (which may need the network).
from open_clip.model import _build_vision_tower
from open_clip.timm_model import TimmModel
from open_clip.transform import merge_preprocess_dict
from open_clip.transformer import VisionTransformer
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError
from saev.vit.backbone import BACKBONES, Backbone, ModelChoice
from saev.vit.from_timm import check_plain_vit, load_trunk, timm_backbone, without_heads
from saev.vit.open_clip_plan import HEADS, Plan, architectures, download, plan_of
from saev.vit.packaged_clip import is_packaged
from saev.vit.preprocess import OpenClipPreprocessing
from saev.vit.refusals import Options, check_image_size, not_a_vit
from saev.vit.weights import drop_heads, load_exactly, read_weights

_NOT_VISUAL = (
    *("text", "text_decoder", "transformer", "token_embedding", "positional_embedding", "ln_final"),
    *("text_projection", "logit_scale", "logit_bias", "attn_mask"),
    *("input_resolution", "context_length", "vocab_size"),
)


@final
class OpenClipBackbone(Backbone):
    """The ViT that open_clip itself implements."""

    families = ("clip", "siglip")

    @classmethod
    @override
    def load(cls, choice: ModelChoice) -> Backbone:
        """The vision tower of a model of open_clip, which may be a ViT of timm."""
        family, ckpt, weights, options = choice.family, choice.ckpt, choice.weights, choice.options
        plan = plan_of(family, ckpt, weights, options)
        visual = _build(plan, ckpt, choice.image_size, options)
        if weights != "random":
            file = Path(weights) if weights is not None else download(ckpt, plan, options)
            _load(visual, _visual_part(read_weights(file)), file, ckpt, options)
        config = merge_preprocess_dict(plan.preprocess, {"size": visual.image_size})
        preprocessing = OpenClipPreprocessing(config)
        if isinstance(visual, TimmModel):
            return timm_backbone(visual.trunk, family, ckpt, preprocessing)
        return cls(
            visual,
            family=family,
            ckpt=ckpt,
            preprocessing=preprocessing,
            grid=tuple(visual.grid_size),
            n_layers=len(visual.transformer.resblocks),
            cls=True,
        )

    @classmethod
    @override
    def has_model(cls, family: str, ckpt: str) -> bool:
        return ckpt.partition("/")[0] in architectures(family) or (family == "clip" and is_packaged(ckpt))

    @override
    def block_outputs(self, images: Tensor, layers: list[int]) -> list[Tensor]:
        tower: Any = self.tower
        outputs = tower.forward_intermediates(
            images,
            indices=layers,
            stop_early=True,
            intermediates_only=True,
            output_fmt="NLC",
            output_extra_tokens=True,
        )
        prefixes, patches = outputs["image_intermediates_prefix"], outputs["image_intermediates"]
        return [torch.cat(pair, dim=1) for pair in zip(prefixes, patches, strict=True)]

    @override
    def block(self, layer: int) -> nn.Module:
        return self.tower.get_submodule(f"transformer.resblocks.{layer}")

    @override
    def embed(self, images: Tensor) -> Tensor:
        """The CLS token, or what else the model pools, before the projection to the space of the text."""
        tower: Any = self.tower
        if tuple(tower.ln_post.normalized_shape) != (self.d_model,):
            raise InputError(f"{self.ckpt} pools by attention, with weights that are no part of the recorded tower")
        pooled: Tensor | tuple[Tensor, Tensor] = tower(images)
        return pooled if isinstance(pooled, Tensor) else pooled[0]


BACKBONES.add(OpenClipBackbone)


def _build(plan: Plan, ckpt: str, size: tuple[int, int] | None, options: Options) -> Any:
    vision = {**plan.model["vision_cfg"], "timm_model_pretrained": False}
    if isinstance(vision.get("layers"), list | tuple):
        raise not_a_vit(ckpt, "ResNet", options)
    own = vision.get("image_size", 224)
    own_size = (own, own) if isinstance(own, int) else tuple(own)
    if "timm_model_name" not in vision:
        vision["image_size"] = size or own_size
    visual = _build_vision_tower(plan.model["embed_dim"], vision, plan.model.get("quick_gelu", False), None)
    if isinstance(visual, TimmModel):
        check_plain_vit(visual.trunk, ckpt, options)
        check_image_size(size, own_size, visual.trunk.patch_embed.patch_size, ckpt, options)
        without_heads(visual.trunk)
        if size is not None:
            visual.set_input_size(size)
        return visual
    assert isinstance(visual, VisionTransformer), type(visual)
    check_image_size(size, own_size, visual.patch_size, ckpt, options)
    visual.proj = None
    visual.attn_pool = None
    visual.attn_pool_contrastive = None
    return visual


def _visual_part(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the text tower; a file of the vision tower alone has no ``visual.`` and stays as it is."""
    if not any(key.startswith("visual.") for key in weights):
        return dict(weights)
    return {key.removeprefix("visual."): value for key, value in drop_heads(weights, _NOT_VISUAL).items()}


def _load(visual: Any, weights: dict[str, Tensor], file: Path, ckpt: str, options: Options) -> None:
    if isinstance(visual, TimmModel):
        trunk = {key.removeprefix("trunk."): value for key, value in weights.items()}
        load_trunk(visual.trunk, trunk, file, ckpt, options)
        return
    weights = drop_heads(weights, HEADS)
    if "positional_embedding" in weights:
        weights["positional_embedding"] = _resampled(weights["positional_embedding"], visual.grid_size)
    load_exactly(visual, weights, file, ckpt, options)


def _resampled(positions_td: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resample the position embeddings (1 + n * n, D) of a square grid to (1 + h * w, D).

    open_clip's own function compares only the number of tokens, so it would leave 4 x 4 as it is for 2 x 8.
    """
    side = math.isqrt(positions_td.shape[0] - 1) if positions_td.ndim == 2 and len(positions_td) else 0
    if side == 0 or side * side + 1 != positions_td.shape[0]:
        return positions_td  # of no square grid: the comparison of shapes reports it
    resampled: Tensor = resample_abs_pos_embed(
        positions_td[None], new_size=list(grid), old_size=[side, side], num_prefix_tokens=1
    )[0]
    return resampled
