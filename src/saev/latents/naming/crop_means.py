r"""What is kept of the crops on which latents are strongest, so that any text can be compared with them later.

The mean of a latent's crops is that of their unit embeddings, by the weights w (of sum 1) that names give them, see
`saev.latents.naming.evidence`. A text t and the mean m have the cosine t m, weighted over the crops. A shuffled latent
has as many crops, drawn from those of all latents, which have the mean c and the covariance C. So

.. math:: z = \frac{t (m - c)}{\sqrt{t C t \sum w^2}}

counts deviations above what the same text reaches for shuffled latents, as the score of a name does.

Shape suffixes: l = latents, e = width of the embedding, k = crops of a latent.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self, final

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from saev.artifacts.typed_json import from_json
from saev.errors import InputError
from saev.files import read_regular
from saev.latents.naming.names_file import ClipId

CROPS_FILE: Final = "crops.safetensors"
_MAX_BYTES: Final = 2**31
_SHAPES: Final = {"latents": 1, "means": 2, "squares": 1, "centre": 1, "covariance": 2, "clip": 1}


@final
@dataclass(frozen=True)
class CropMeans:
    """The mean crop of each latent. Memory: 2 bytes x width for each latent, 4 x width^2 beside.

    Args:
        clip: What embedded the crops.
        latents_l: int64.
        means_le: float16.
        squares_l: float32, the sum of the squared weights of each.
        centre_e: float32, the mean over the crops of all latents.
        covariance_ee: float32, their covariance.
    """

    clip: ClipId
    latents_l: Tensor
    means_le: Tensor
    squares_l: Tensor
    centre_e: Tensor
    covariance_ee: Tensor

    @classmethod
    def of(cls, clip: ClipId, crops: Iterable[tuple[int, Tensor, NDArray[np.float64]]]) -> Self | None:
        """Of latents, the embeddings (k, e) of their crops, and their weights (k,) of any sum; None without any."""
        latents, means, squares, n = [], [], [], 0
        sum_e, products_ee = torch.zeros(()).double(), torch.zeros(()).double()
        for latent, given_ke, weights_k in crops:
            own_ke = given_ke.double()
            shares_k = torch.from_numpy(weights_k / weights_k.sum()).double()
            latents.append(latent)
            means.append((shares_k @ own_ke).half())
            squares.append(float(shares_k.square().sum()))
            n, sum_e, products_ee = n + len(own_ke), sum_e + own_ke.sum(0), products_ee + own_ke.T @ own_ke
        if not latents:
            return None
        centre_e = sum_e / n
        covariance_ee = products_ee / n - torch.outer(centre_e, centre_e)
        numbers = torch.tensor(latents), torch.stack(means), torch.tensor(squares)
        return cls(clip, *numbers, centre_e.float(), covariance_ee.float())

    def scores(self, text_e: Tensor) -> Tensor:
        """(l,) deviations of each latent above what the text, a unit embedding, reaches for shuffled latents."""
        t_e = text_e.double()
        variance = float(t_e @ self.covariance_ee.double() @ t_e)
        if variance < 1e-12:  # all crops are one
            return torch.zeros(len(self.latents_l))
        above_l = self.means_le.double() @ t_e - float(self.centre_e.double() @ t_e)
        return (above_l / (variance * self.squares_l.double()).sqrt()).float()

    def to_bytes(self) -> bytes:
        """The content of `CROPS_FILE`."""
        clip = torch.tensor(list(json.dumps(asdict(self.clip)).encode()), dtype=torch.uint8)
        tensors = {
            "latents": self.latents_l, "means": self.means_le, "squares": self.squares_l, "centre": self.centre_e,
            "covariance": self.covariance_ee, "clip": clip,
        }  # fmt: skip
        return bytes(safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()}))


def read_crops(directory: Path) -> CropMeans:
    """Read those of a gallery.

    Raises:
        InputError: If there are none, or the file is damaged.
    """
    path = directory / CROPS_FILE
    content = read_regular(path, _MAX_BYTES)
    damaged = InputError(f"{path} is damaged, or of another version: render the gallery again")
    try:
        found = safetensors.torch.load(content)
        clip = from_json(ClipId, json.loads(bytes(found["clip"].tolist())), str(path))
    except (safetensors.SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise damaged from error
    if {name: tensor.ndim for name, tensor in found.items()} != _SHAPES:
        raise damaged
    (n, width), squares_l = found["means"].shape, found["squares"]
    is_whole = len(found["latents"]) == len(squares_l) == n and found["covariance"].shape == (width, width)
    is_finite = all(bool(found[name].isfinite().all()) for name in ("means", "squares", "centre", "covariance"))
    if not is_whole or len(found["centre"]) != width or not is_finite or not bool((squares_l > 0).all()):
        raise damaged
    return CropMeans(clip, *(found[name] for name in ("latents", "means", "squares", "centre", "covariance")))
