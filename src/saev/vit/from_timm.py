"""Vision transformers of timm, alone or as the vision tower of an open_clip model."""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, final

import timm
import torch
from timm.data import resolve_data_config
from timm.models import get_pretrained_cfg
from timm.models.beit import Beit
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from typing_extensions import override

from saev.errors import InputError, one_line
from saev.vit.backbone import BACKBONES, Backbone, ModelChoice
from saev.vit.network import hub
from saev.vit.preprocess import Preprocessing, TimmPreprocessing
from saev.vit.refusals import HUB, MODEL, Options, check_image_size, not_a_vit, not_had, unknown
from saev.vit.weights import drop_heads, load_exactly, read_weights

# What timm runs in forward_head, after the last block.
HEADS = ("head", "head_drop", "head_dist", "fc_norm", "attn_pool")


@final
class TimmBackbone(Backbone):
    """A timm VisionTransformer, Eva or Beit."""

    families = ("dinov2", "dinov3", "timm")

    @classmethod
    @override
    def load(cls, choice: ModelChoice) -> Backbone:
        """A plain ViT of timm; for the families dinov2 and dinov3 its name must have that word."""
        family, ckpt, weights, options = choice.family, choice.ckpt, choice.weights, choice.options
        size = choice.image_size
        _check_name(family, ckpt, options)
        model = _create(ckpt, weights is None, size, options)
        check_plain_vit(model, ckpt, options)
        without_heads(model)
        own_size = tuple(model.pretrained_cfg["input_size"][-2:])
        check_image_size(size, own_size, model.patch_embed.patch_size, ckpt, options)
        if weights is not None and weights != "random":
            _check_tag(ckpt, options)
            load_trunk(model, read_weights(Path(weights)), Path(weights), ckpt, options)
        input_size = (3, *model.patch_embed.img_size)
        config = resolve_data_config({"input_size": input_size}, pretrained_cfg=model.pretrained_cfg)
        return timm_backbone(model, family, ckpt, TimmPreprocessing(config))

    @classmethod
    @override
    def has_model(cls, family: str, ckpt: str) -> bool:
        return ckpt.partition(".")[0] in _names(family)

    @override
    def block_outputs(self, images: Tensor, layers: list[int]) -> list[Tensor]:
        tower: Any = self.tower
        outputs = tower.forward_intermediates(
            images,
            indices=layers,
            return_prefix_tokens=True,
            norm=False,
            stop_early=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        return [out if isinstance(out, Tensor) else torch.cat((out[1], out[0]), dim=1) for out in outputs]

    @override
    def block(self, layer: int) -> nn.Module:
        return self.tower.get_submodule(f"blocks.{layer}")

    @override
    def embed(self, images: Tensor) -> Tensor:
        """CLS token or mean patch, as the model pools; the mean of its tokens in place of attention pooling."""
        tower: Any = self.tower
        pooled: Tensor = tower.forward_head(tower.forward_features(images))
        return pooled.mean(1) if pooled.ndim == 3 else pooled


BACKBONES.add(TimmBackbone)


def timm_backbone(trunk: Any, family: str, ckpt: str, preprocessing: Preprocessing) -> Backbone:
    """Wrap a loaded timm ViT without heads."""
    return TimmBackbone(
        trunk,
        family=family,
        ckpt=ckpt,
        preprocessing=preprocessing,
        grid=tuple(trunk.patch_embed.grid_size),
        n_layers=len(trunk.blocks),
        cls=trunk.cls_token is not None,
    )


def check_plain_vit(model: nn.Module, ckpt: str, options: Options = MODEL) -> None:
    """Raise InputError for what has no residual stream of one width and one token grid: ConvNeXt, Swin, ResNet, ..."""
    if not isinstance(model, VisionTransformer | Eva | Beit):
        raise not_a_vit(ckpt, type(model).__name__, options)


def without_heads(model: nn.Module) -> None:
    """Remove the heads, so that neither a weights file nor the digest has to hold them."""
    for name, _ in list(model.named_children()):
        if name in HEADS:
            setattr(model, name, nn.Identity())


def load_trunk(
    trunk: nn.Module, weights: Mapping[str, Tensor], file: Path, ckpt: str, options: Options = MODEL
) -> None:
    """Load weights in timm's names or in one of the original names that timm converts; resample positions.

    Raises:
        InputError: They do not fit.
    """
    convert = sys.modules[type(trunk).__module__].checkpoint_filter_fn
    try:
        converted = convert(dict(weights), trunk)
    except (RuntimeError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise InputError(
            f"weights file '{file}' does not fit {ckpt}, it is of another architecture ({one_line(error)})"
        ) from error
    load_exactly(trunk, drop_heads(converted, HEADS), file, ckpt, options)


def _check_name(family: str, ckpt: str, options: Options) -> None:
    if ckpt.startswith(HUB):
        return
    name, _, tag = ckpt.partition(".")
    if name not in (names := _names(family)):
        raise unknown(f"{family} model", name, names, options)
    tags = _tags(name)
    if tag and tag not in tags:
        raise unknown(f"tag of {name}", tag, tags, options)


def _names(family: str) -> list[str]:
    return [name for name in timm.list_models() if family == "timm" or family in name]


def _tags(name: str) -> list[str]:
    return [found.partition(".")[2] for found in timm.list_models(f"{name}.*", pretrained=True)]


def _check_tag(ckpt: str, options: Options) -> None:
    """A file says nothing of its preprocessing; a name without a tag does only if all its tags agree."""
    if ckpt.startswith(HUB) or "." in ckpt:
        return
    tags = _tags(ckpt)
    configs = (resolve_data_config(pretrained_cfg=get_pretrained_cfg(f"{ckpt}.{tag}").to_dict()) for tag in tags)
    if len({repr(sorted({**config, "input_size": None}.items())) for config in configs}) > 1:
        raise InputError(
            f"{options.weights} with {options.ckpt} {ckpt}: its published weights were trained with different "
            f"preprocessing, so say which these are: {', '.join(f'{ckpt}.{tag}' for tag in tags)}"
        )


def _create(ckpt: str, pretrained: bool, size: tuple[int, int] | None, options: Options) -> Any:
    of_size = {} if size is None else {"img_size": size}
    asks_hub = pretrained or ckpt.startswith(HUB)
    with hub() if asks_hub else nullcontext() as no_network:
        try:
            return timm.create_model(ckpt, pretrained=pretrained, num_classes=0, **of_size)
        except TypeError as error:
            raise not_a_vit(ckpt, "model without an image size", options) from error
        except Exception as error:  # the network and the hub fail in a hundred ways
            if not asks_hub:
                raise
            raise not_had(ckpt, error, no_network, options) from error
