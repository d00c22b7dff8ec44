"""`saev.measure_downstream`: what an SAE's reconstructions cost its ViT, on some pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from saev.artifacts import RecordedLayer, load_sae, provenance_of
from saev.device import chosen_device
from saev.errors import InputError
from saev.nn import SparseAutoencoder
from saev.nn.evaluating import evaluating
from saev.shards.format.layout import TokenKind
from saev.shards.reading.open import open_shards
from saev.shards.reading.reader import ShardReader
from saev.shards.tokens import random_subset
from saev.splicing.attach import token_layout
from saev.splicing.downstream import figures, mean_token, measure
from saev.splicing.given_facts import NOTHING_GIVEN, GivenVit, with_given
from saev.splicing.recorded_backbone import attach_recorded, load_recorded_backbone
from saev.splicing.zero_shot import zero_shot_classifier
from saev.threads import check_threads
from saev.vit.dataset import ImageDataset, image_batches
from saev.vit.images import ImageFolder, ImageSource

MAX_IMAGES_FOR_MEAN: Final = 256


def measure_downstream(
    sae: SparseAutoencoder | str | Path,
    images: ImageSource | str | Path,
    *,
    shards: ShardReader | str | Path | None = None,
    model: GivenVit = NOTHING_GIVEN,
    tokens: TokenKind | None = None,
    n_images: int = 2000,
    batch_size: int = 32,
    weights: str | None = None,
    k: int = 10,
    zero_shot: str | None = None,
    num_workers: int = 0,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Put an SAE's reconstructions in place of the activations inside the running ViT, and measure what that costs.

    docs/metrics.md defines the figures. Take images that the SAE was not trained on.

    >>> import saev
    >>> from saev.splicing.given_facts import GivenVit
    >>> from saev.vit.images import DemoScenes
    >>> sae, vit = saev.TopK(d_in=64, d_sae=128, k=4), GivenVit(family="timm", ckpt="test_vit", layer=4)
    >>> report = measure_downstream(sae, DemoScenes(12), model=vit, tokens="content", weights="random", k=3)
    >>> report["n_images"], report["layer"], report["downstream"]["cosine"]["original"]
    (12, 4, 1.0)

    Args:
        sae: An SAE of one layer, or the directory of one.
        images: The pictures, or a folder whose first level of folders names their classes.
        shards: A recording of the ViT, which says what the SAE does not say of itself: ViT, layer and preprocessing.
        model: The ViT, where neither the SAE nor the shards say it.
        tokens: Tokens that the SAE takes, where it does not say it; by default content, the patches.
        n_images: Upper bound of the images, a random choice.
        batch_size: Images of a forward pass.
        weights: The ViT's weights: a .safetensors or .pt file, or "random"; by default they come from the network.
        k: Nearest neighbours that are compared.
        zero_shot: A sentence with {} for the name of a class, such as "a photo of a {}.", to measure the accuracy of
            zero-shot classification, too, for a CLIP of open_clip.
        num_workers: Processes that decode, forked; 0 decodes in this one.
        device: Where to compute; by default a GPU if there is one.
        seed: Fixes the choice of images and the halves of the probe.

    Returns:
        What `saev downstream --out` writes, as plain JSON: "downstream" holds a row of figures for each measure
        ("cosine", "knn_agreement", "probe_accuracy", "zero_shot_accuracy"), "sae_values" those of the SAE on these
        tokens. A figure that cannot be had is None.

    Raises:
        InputError: If the SAE, the ViT or the pictures cannot be had, or do not belong together, or there are too few.
    """
    for option, value in (("n_images", n_images), ("batch_size", batch_size), ("k", k), ("seed", seed)):
        least = 0 if option == "seed" else 1
        if value < least:
            raise InputError(f"--{option} {value} must be {least} or more")
    check_threads("--num_workers", num_workers, least=0)
    loaded = sae if isinstance(sae, SparseAutoencoder) else load_sae(sae)
    reader = shards if shards is None or isinstance(shards, ShardReader) else open_shards(shards, model.layer)
    provenance = with_given(provenance_of(loaded), model, tokens, reader)
    vit = provenance.one_layer
    source = images if isinstance(images, ImageSource) else ImageFolder(Path(images))
    where = source.location if source is images else str(images)
    source.check_known()
    chosen = random_subset(len(source), n_images, seed)
    if len(chosen) <= k:
        raise InputError(f"{len(chosen)} images of {where}: for --k {k} neighbours more are needed")
    computes = chosen_device(device, "--device")
    backbone = load_recorded_backbone(vit, weights)
    labels = [source.record(index).label for index in chosen.tolist()]
    classes = None if zero_shot is None else _classes(source, labels, vit, weights, zero_shot, where)
    items = ImageDataset(source, backbone.preprocessing, backbone.grid)
    few = chosen[random_subset(len(chosen), MAX_IMAGES_FOR_MEAN, seed)]
    # What stands for a whole image at this layer.
    whole = token_layout(backbone).positions("cls" if backbone.cls else "content")
    with (
        evaluating(loaded, computes) as ready,
        attach_recorded(ready, provenance, backbone.to(computes)) as inside,
    ):
        mean_d = mean_token(inside, image_batches(items, few.tolist(), batch_size, num_workers, "mean"))
        batches = image_batches(items, chosen.tolist(), batch_size, num_workers, "downstream")
        found = measure(inside, batches, mean_d, whole)
    assert vit.layer is not None, "attached to it"
    facts: dict[str, Any] = {
        "sae": type(sae).__name__ if loaded is sae else str(sae),
        "model": f"{backbone.family} {backbone.ckpt}",
        "layer": vit.layer % backbone.n_layers,
        "tokens": provenance.tokens,
        "images": where,
        "n_images": len(chosen),
    }
    if classes is not None:
        facts["zero_shot"] = {"template": zero_shot, "n_classes": len(classes[0])}
    return facts | figures(found, labels, loaded.W_dec, k, seed, classes)


def _classes(
    source: ImageSource,
    labels: Sequence[str | None],
    vit: RecordedLayer,
    weights: str | None,
    template: str,
    where: str,
) -> tuple[Sequence[str], Tensor]:
    """Names of the classes, and the direction of each."""
    classes = source.class_names
    if len(classes) < 2:
        raise InputError(f"--zero_shot needs two folders (classes) or more, {where} has {len(classes)}")
    if not any(labels):
        raise InputError("--zero_shot: none of the chosen images is in a folder of its class, raise --n_images")
    return classes, zero_shot_classifier(vit, weights, classes, template).rows_cd
