"""The ViT whose activations trained an SAE, built again."""

from typing import Any

import torch

from saev.artifacts.provenance import About
from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.splicing.attach import Attached, attach
from saev.vit.backbone import Backbone
from saev.vit.load import load_backbone
from saev.vit.preprocess import Preprocessing
from saev.vit.refusals import RECORDED

_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_MODEL_KEYS = ("family", "ckpt", "weights_digest", "precision")


def load_recorded_backbone(about: About, weights: str | None = None) -> Backbone:
    """Build the ViT that an SAE was trained on, in the precision of the recording.

    Args:
        about: What the SAE was trained on.
        weights: A .safetensors or .pt file, ``random``, or None: the network.

    Raises:
        InputError: If the SAE takes several layers, if it is not known which weights were recorded, or if these are
            others, or the pictures would be prepared in another way.
    """
    if about.paired_with:
        layers = ", ".join(str(config["layer"]) for config in about.layers)
        raise InputError(f"the SAE takes layers {layers} at once: only an SAE of one layer can be spliced into a ViT")
    model = _model(about)
    preprocessing = Preprocessing.from_dict(about.trained_on["preprocessing"])
    backbone = load_backbone(model["family"], model["ckpt"], weights, preprocessing.image_size, RECORDED)
    if backbone.weights_digest != model["weights_digest"]:
        raise InputError(
            f"the SAE was trained on the weights {model['weights_digest'][:12]}... of {model['ckpt']}, "
            f"{weights or 'the network'} gives {backbone.weights_digest[:12]}...: give the file that was recorded, "
            "with --weights FILE"
        )
    if backbone.preprocessing.to_dict() != preprocessing.to_dict():
        raise InputError(
            f"the SAE was trained on pictures prepared by {preprocessing.to_dict()}, {model['ckpt']} now prepares them "
            f"by {backbone.preprocessing.to_dict()}: install the versions of timm and open_clip that recorded them"
        )
    return backbone.to(_PRECISIONS[model["precision"]])


def attach_recorded(sae: SparseAutoencoder, about: About, backbone: Backbone) -> Attached:
    """Put an SAE where the activations were recorded that trained it.

    Raises:
        InputError: If the SAE's config.json names a layer, tokens or a width that the ViT does not have.
    """
    return attach(backbone, sae, about.trained_on["layer"], tokens=about.tokens)


def _model(about: About) -> dict[str, Any]:
    model = dict(about.trained_on["model"])
    unknown = [key for key in _MODEL_KEYS if model.get(key) in (None, "unknown")]
    if unknown or model["precision"] not in _PRECISIONS:
        raise InputError(
            f"the SAE's config.json does not say which ViT it was trained on ({', '.join(unknown) or 'precision'}), as "
            "for shards of the original saev: record with `saev predict` and train on that"
        )
    return model
