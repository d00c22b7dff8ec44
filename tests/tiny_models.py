"""Tiny models under names of their own, so that no test needs the network, and what hooks see in them."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import open_clip
import open_clip.pretrained
import pytest
import timm
import torch
from open_clip.constants import INCEPTION_MEAN, INCEPTION_STD, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from timm.models import register_model
from timm.models.beit import Beit, _create_beit
from timm.models.vision_transformer import VisionTransformer, _create_vision_transformer
from torch import Tensor, nn

_CFG = timm.models.PretrainedCfg(
    input_size=(3, 32, 32), mean=(0.5,) * 3, std=(0.5,) * 3, first_conv="patch_embed.proj", num_classes=0
)
default_cfgs = timm.models.generate_default_cfgs(
    {name: _CFG.to_dict() for name in ("tiny_beit", "tiny_registers", "tiny_siglip")}
)

_TEXT = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
_REAL_TEXT = {**_TEXT, "context_length": 77, "vocab_size": 49408}  # What open_clip's own tokenizer gives.
_CONFIGS = {
    "tiny-ViT": {"image_size": 32, "layers": 4, "width": 64, "head_width": 16, "patch_size": 8},
    "tiny-CLIP": {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
    "tiny-SigLIP": {
        "image_size": 32,
        "timm_model_name": "tiny_siglip",
        "timm_pool": "map",
        "timm_proj": "none",
    },
}
_CLIP = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD, "interpolation": "bicubic"}
_TAGS = {
    "tiny-ViT": {
        "openai": {**_CLIP, "hf_hub": "tiny/openai", "resize_mode": "shortest", "quick_gelu": True},
        "laion": {**_CLIP, "hf_hub": "tiny/laion", "resize_mode": "shortest"},
    },
    "tiny-CLIP": {
        tag: {**_CLIP, "hf_hub": "tiny/clip", "resize_mode": "shortest", "quick_gelu": True}
        for tag in ("openai", "laion")
    },
    "tiny-SigLIP": {
        "webli": {
            "hf_hub": "tiny/webli",
            "mean": INCEPTION_MEAN,
            "std": INCEPTION_STD,
            "interpolation": "bicubic",
            "resize_mode": "squash",
        }
    },
}


@register_model
def tiny_siglip(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    options = {"patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4, "class_token": False}
    return _create_vision_transformer(
        "tiny_siglip", pretrained, **{**options, "img_size": 32, "global_pool": "map", **kwargs}
    )


@register_model
def tiny_registers(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """No CLS token, four registers, the mean of the patches."""
    options = {"patch_size": 16, "embed_dim": 64, "depth": 4, "num_heads": 4, "class_token": False, "reg_tokens": 4}
    return _create_vision_transformer(
        "tiny_registers",
        pretrained,
        **{**options, "img_size": 32, "no_embed_class": True, "global_pool": "avg", **kwargs},
    )


@register_model
def tiny_beit(pretrained: bool = False, **kwargs: Any) -> Beit:
    """Relative positions."""
    options = {"patch_size": 16, "embed_dim": 64, "depth": 4, "num_heads": 4, "init_values": 0.1}
    options |= {"use_abs_pos_emb": False, "use_rel_pos_bias": True}
    return _create_beit("tiny_beit", pretrained, **{**options, "img_size": 32, **kwargs})


@pytest.fixture(scope="session", autouse=True)
def tiny_open_clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """open_clip knows tiny-ViT, tiny-SigLIP and, with a text tower that works, tiny-CLIP, by their `_TAGS`."""
    folder = tmp_path_factory.mktemp("configs")
    for name, vision in _CONFIGS.items():
        config = {
            "embed_dim": 32,
            "vision_cfg": vision,
            "text_cfg": _REAL_TEXT if name == "tiny-CLIP" else _TEXT,
            "custom_text": name == "tiny-SigLIP",
        }
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
    open_clip.add_model_config(folder)
    open_clip.pretrained._PRETRAINED.update(_TAGS)
    yield
    for name in _TAGS:
        open_clip.pretrained._PRETRAINED.pop(name, None)


@pytest.fixture
def hooked() -> Callable[[nn.Module, Sequence[nn.Module], Tensor], list[Tensor]]:
    """Outputs of blocks as forward hooks see them in a model's own whole forward pass."""

    def run(model: nn.Module, blocks: Sequence[nn.Module], images: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = []
        handles = [block.register_forward_hook(lambda _m, _i, out: outputs.append(out)) for block in blocks]
        with torch.no_grad():
            model.eval()(images)
        for handle in handles:
            handle.remove()
        return outputs

    return run
