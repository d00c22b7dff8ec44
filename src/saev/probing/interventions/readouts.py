"""What is read from final embeddings and from final patch tokens.

Shape suffixes: n = pictures, e = width of the embedding, c = classes or outputs, p = patches, d = d_model, m = patches
of several pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.errors import InputError
from saev.metrics.embeddings import linear_probe
from saev.probing.statistics.arrays import Floats
from saev.vit.images.base import NO_LABEL
from saev.vit.weights import read_weights

SHARES: Final = ("all", "target", "others")


@final
@dataclass(frozen=True)
class Readout:
    """Numbers that are computed from final embeddings."""

    name: str  # "zero_shot", "probe" or "head".
    classes: Sequence[str]  # Names of the numbers.
    outputs: Callable[[Tensor], Floats]  # From embeddings (n, e) to numbers (n, c).
    is_classifier: bool = True  # Whether they are probabilities of classes of pictures.


def probe_readout(embeddings_ne: Tensor, labels: Sequence[str | None]) -> Readout | None:
    """Probabilities by a linear probe; None where its pictures are of fewer than two classes.

    Args:
        embeddings_ne: Untouched embeddings that it learns from.
        labels: Classes of these pictures; those without one are left out.
    """
    known = [place for place, label in enumerate(labels) if label is not None]
    if len({labels[place] for place in known}) < 2:
        return None
    probe = linear_probe(embeddings_ne[known], [labels[place] for place in known])
    return Readout("probe", [str(name) for name in probe.classes_], lambda found: _probabilities(probe, found))


def _probabilities(probe: Any, features: Tensor) -> Floats:
    found: Floats = probe.predict_proba(features.double().cpu().numpy())
    return found


def head_readout(path: Path, embeddings_ne: Tensor) -> Readout:
    """The outputs of a linear head, W e + b.

    Args:
        path: A safetensors file of `weight` (c, e) and, if need be, `bias` (c).
        embeddings_ne: Some embeddings, for their width.

    Raises:
        InputError: If it holds something else.
    """
    tensors = read_weights(path)
    shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in sorted(tensors.items()))
    width = embeddings_ne.shape[1]
    weight, bias = tensors.get("weight"), tensors.get("bias")
    n = len(weight) if weight is not None and weight.ndim == 2 and weight.shape[1] == width else 0
    if weight is None or not n or set(tensors) - {"weight", "bias"} or (bias is not None and bias.shape != (n,)):
        raise InputError(f"--head {path} holds {shapes}: give weight [outputs, {width}] and bias [outputs]")
    offset = torch.zeros(n) if bias is None else bias

    def outputs(found: Tensor) -> Floats:
        return (found.double() @ weight.double().T + offset.double()).numpy()

    return Readout("head", [str(number) for number in range(n)], outputs, is_classifier=False)


@final
@dataclass(frozen=True)
class PatchReadout:
    """Classes of patches, by a linear probe on the output of the last block."""

    probe: Any  # Of scikit-learn.
    target: int | None  # The value of the masks whose patches are told from the others, if there is one.

    def shares(self, tokens_npd: Tensor, labels_np: Tensor) -> Floats:
        """Shares of patches (n, 3) that are found right: of all, of those of the target, and of all others.

        nan where there are none. Patches without a label do not count.
        """
        n, p, d = tokens_npd.shape
        found_np = self.probe.predict(tokens_npd.reshape(n * p, d).double().cpu().numpy()).reshape(n, p)
        true_np = labels_np.numpy()
        known_np, is_target_np = true_np != NO_LABEL, true_np == self.target
        right_np = found_np == true_np
        return np.stack(
            [_share(right_np, of_np) for of_np in (known_np, is_target_np, known_np & ~is_target_np)], axis=1
        )


def _share(right_np: NDArray[np.bool_], of_np: NDArray[np.bool_]) -> Floats:
    n_of = of_np.sum(1)
    found: Floats = np.where(n_of > 0, (right_np & of_np).sum(1) / np.maximum(n_of, 1), np.nan)
    return found


def patch_readout(tokens_md: Tensor, labels_m: Tensor, target: int | None) -> PatchReadout | None:
    """The probe of patches; None where there are fewer than two classes of them.

    Args:
        tokens_md: Untouched tokens that it learns from.
        labels_m: Values of the masks there.
        target: One of these values.
    """
    labels = labels_m.tolist()
    return PatchReadout(linear_probe(tokens_md, labels), target) if len(set(labels)) > 1 else None
