"""The ViT whose activations trained an SAE, built again."""

from saev.artifacts import Provenance, RecordedLayer
from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.splicing.attach import attach
from saev.splicing.attached import Attached
from saev.vit.backbone import PRECISIONS, Backbone
from saev.vit.load import load_backbone
from saev.vit.preprocess import Preprocessing
from saev.vit.refusals import RECORDED

_KNOWN = ", ".join(PRECISIONS)
GIVE_VIT = "give a recording of it with --shards, or --model.family, --model.ckpt and --model.layer"


def load_recorded_backbone(vit: RecordedLayer, weights: str | None = None) -> Backbone:
    """Build the ViT that an SAE was trained on, in the precision of the recording, float32 where that is not known.

    Weights and preprocessing that are not known are not compared; the preprocessing is then the ViT's own.

    Args:
        weights: A .safetensors or .pt file, ``random``, or None: the network.

    Raises:
        InputError: If it is not known which ViT it is, or its weights are others than those that were recorded, or the
            pictures would be prepared in another way.
    """
    if vit.family is None or vit.ckpt is None:
        missing = ", ".join(vit.missing(("family", "ckpt")))
        raise InputError(f"the SAE does not say which ViT it was trained on ({missing}): {GIVE_VIT}")
    precision = vit.precision or "float32"
    if precision not in PRECISIONS:
        raise InputError(f"the SAE was trained on a ViT in {precision}, this version of saev has {_KNOWN}: {GIVE_VIT}")
    preprocessing = None if vit.preprocessing is None else Preprocessing.from_dict(vit.preprocessing)
    size = None if preprocessing is None else preprocessing.image_size
    backbone = load_backbone(vit.family, vit.ckpt, weights, size, RECORDED)
    if vit.weights_digest not in (None, backbone.weights_digest):
        raise InputError(
            f"the SAE was trained on the weights {vit.weights_digest[:12]}... of {vit.ckpt}, "
            f"{weights or 'the network'} gives {backbone.weights_digest[:12]}...: give the file that was recorded, "
            "with --weights FILE"
        )
    if preprocessing is not None and backbone.preprocessing.to_dict() != preprocessing.to_dict():
        raise InputError(
            f"the SAE was trained on pictures prepared by {preprocessing.to_dict()}, {vit.ckpt} now prepares them "
            f"by {backbone.preprocessing.to_dict()}: install the versions of timm and open_clip that recorded them"
        )
    return backbone.to(PRECISIONS[precision])


def attach_recorded(sae: SparseAutoencoder, provenance: Provenance, backbone: Backbone) -> Attached:
    """Put an SAE where the activations were recorded that trained it.

    Raises:
        InputError: If the SAE takes several layers, if its layer or tokens are not known, or if the ViT has no such
            layer, tokens or width.
    """
    if (layer := provenance.one_layer.layer) is None:
        raise InputError(f"the SAE does not say which layer of {backbone.ckpt} it takes: {GIVE_VIT}")
    if provenance.tokens is None:
        raise InputError("the SAE does not say which tokens it takes: give --tokens, such as content")
    return attach(backbone, sae, layer, tokens=provenance.tokens)
