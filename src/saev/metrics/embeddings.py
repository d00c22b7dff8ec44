"""What became of the final embeddings of a ViT after something was changed inside it.

Shape suffixes: n = images, e = width of the embedding, k = neighbours, c = images of a chunk.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from saev.errors import InputError
from saev.metrics.neighbours import nearest

MAX_PROBE_STEPS = 1000
SMALLEST_LOSS = 1e-6  # Less than this is rounding.


def embedding_cosine(before_ne: Tensor, after_ne: Tensor) -> float:
    """Mean over images of the cosine of the embedding before and after."""
    return cosine_similarity(before_ne.double(), after_ne.double(), dim=-1).mean().item()


def knn_agreement(before_ne: Tensor, after_ne: Tensor, k: int = 10) -> float:
    """Mean over images of the share of the k nearest other images, by cosine, that stay the same.

    Raises:
        InputError: If there are not k other images.
    """
    if not 0 < k < len(before_ne):
        raise InputError(f"{k} neighbours among {len(before_ne)} images: k must be 1 or more, and less than the images")
    shared_nkk = _neighbours(before_ne, k)[:, :, None] == _neighbours(after_ne, k)[:, None]
    return shared_nkk.any(-1).double().mean().item()


def _neighbours(embeddings_ne: Tensor, k: int) -> Tensor:
    exact_ne = embeddings_ne.double()
    return nearest(exact_ne, exact_ne, k, torch.arange(len(exact_ne))).numbers


def probe_halves(labels: Sequence[str | None], seed: int = 0) -> tuple[list[int], list[int]]:
    """Images to train a probe on and images to test it on: half of each class, an odd one is tested.

    Images without label and classes of one image are left out; both lists are empty where fewer than two classes stay.

    >>> train, test = probe_halves(["a", "b", "a", "b", "c", "b"])
    >>> sorted(train + test), len(train)
    ([0, 1, 2, 3, 5], 2)
    """
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    by_class: dict[str, list[int]] = {}
    for image in order:
        label = labels[image]
        if label is not None:
            by_class.setdefault(label, []).append(image)
    usable = [images for images in by_class.values() if len(images) > 1]
    if len(usable) < 2:
        return [], []
    train = [image for images in usable for image in images[: len(images) // 2]]
    test = [image for images in usable for image in images[len(images) // 2 :]]
    return sorted(train), sorted(test)


def probe_accuracies(
    train_ne: Tensor, train_labels: Sequence[str], tested: Sequence[Tensor], test_labels: Sequence[str]
) -> list[float]:
    """Accuracies of one linear probe on several embeddings of the same test images.

    Args:
        train_ne: Embeddings of the training images.
        train_labels: Their classes.
        tested: Embeddings (n, e) of the test images, for example before and after a change.
        test_labels: Their classes.
    """
    probe = linear_probe(train_ne, train_labels)
    return [float(probe.score(embeddings_ne.double().cpu().numpy(), list(test_labels))) for embeddings_ne in tested]


def linear_probe(train_ne: Tensor, train_labels: Sequence[Any]) -> Any:
    """A logistic regression (L2, C = 1) on embeddings that are standardised by the training ones.

    Args:
        train_ne: Embeddings to learn from.
        train_labels: Their classes, two or more.

    Returns:
        A pipeline of scikit-learn, for arrays of float64.
    """
    # Here and not above: it takes a second to import, and only this function needs it.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MAX_PROBE_STEPS))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # few images of many classes
        probe.fit(train_ne.double().cpu().numpy(), list(train_labels))
    return probe


def zero_shot_accuracy(
    embeddings_ne: Tensor, rows_ce: Tensor, classes: Sequence[str], labels: Sequence[str | None]
) -> float:
    """Share of the images with a label whose largest product is with the direction of their class.

    Args:
        rows_ce: A direction (e,) for each class.
        labels: Class of each image, or None.
    """
    best: list[int] = (embeddings_ne.float() @ rows_ce.float().T).argmax(-1).tolist()
    right = [classes[number] == label for number, label in zip(best, labels, strict=True) if label is not None]
    return sum(right) / len(right)


def recovered(original: float, changed: float, ablated: float) -> float | None:
    """Share of what the ablation loses that is kept: 1 is the original, 0 the ablation; None where it loses nothing.

    >>> recovered(1.0, 0.875, 0.5)
    0.75
    """
    lost = original - ablated
    return (changed - ablated) / lost if lost > SMALLEST_LOSS else None
