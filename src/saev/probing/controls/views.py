"""Ways to look at the activations of a picture: each gives several values of every token, pooled over the tokens.

Shape suffixes: b = pictures of a batch, t = tokens of a picture, d = width of the activations, m = directions, centres
or latents, s = columns, pooled values of a picture; n = sampled tokens.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from scipy.sparse import csr_array
from torch import Tensor
from typing_extensions import override

from saev.nn import SparseAutoencoder
from saev.nn.base import Progress
from saev.nn.functional import unit_rows
from saev.training.initialization import set_normalization

KMEANS_ROUNDS: Final = 10
CALIBRATION_TOKENS: Final = 4096


class View(ABC):
    """Values of tokens, pooled over a picture.

    Args:
        what: Names one of its m.
        ways: How the tokens are pooled, in the order of the columns.
    """

    what: str
    ways: tuple[str, ...]

    @property
    @abstractmethod
    def size(self) -> int:
        """How many (m) there are."""

    @abstractmethod
    def pooled(self, x_btd: Tensor) -> Any:
        """(b, s) float32, dense or sparse, from raw activations: all m pooled in the first way, then in the next."""

    def named(self, column: int) -> str:
        """What a column is."""
        return column_name(self.what, self.size, self.ways, column)


def column_name(what: str, size: int, ways: Sequence[str], column: int) -> str:
    """What a column is, and of how many it was chosen.

    >>> column_name("latent", 4096, ("largest", "mean"), 4103)
    'latent 7, mean of the tokens; of 8,192'
    """
    way, number = divmod(column, size)
    return f"{what} {number}, {ways[way]} of the tokens; of {size * len(ways):,}"


@final
@dataclass(frozen=True)
class Directions(View):
    """Products with directions; both signs, because nothing says which way a direction points."""

    what: str  # Names one.
    rows_md: Tensor | None  # The directions; None for the neurons themselves.
    d: int  # Width.
    ways: tuple[str, ...] = ("largest", "largest (turned)", "mean", "mean (turned)")

    @property
    @override
    def size(self) -> int:
        return self.d if self.rows_md is None else len(self.rows_md)

    @override
    def pooled(self, x_btd: Tensor) -> Any:
        if self.rows_md is not None:
            x_btd = x_btd @ self.rows_md.T.to(x_btd)
        low_bm, high_bm = x_btd.aminmax(dim=1)
        mean_bm = x_btd.mean(1)
        return torch.cat([high_bm, -low_bm, mean_bm, -mean_bm], dim=1).cpu().numpy()


@final
@dataclass(frozen=True)
class Centres(View):
    """How near tokens are to centres."""

    rows_md: Tensor
    what: str = "centre"
    ways: tuple[str, ...] = ("nearest", "mean nearness")

    @property
    @override
    def size(self) -> int:
        return len(self.rows_md)

    @override
    def pooled(self, x_btd: Tensor) -> Any:
        near_btm = -torch.cdist(x_btd, self.rows_md.to(x_btd))
        return torch.cat([near_btm.amax(1), near_btm.mean(1)], dim=1).cpu().numpy()


@final
@dataclass(frozen=True)
class Latents(View):
    """Codes of an SAE."""

    sae: SparseAutoencoder  # It evaluates, on the device of the activations.
    what: str = "latent"
    ways: tuple[str, ...] = ("largest", "mean")

    @property
    @override
    def size(self) -> int:
        return self.sae.d_sae

    @override
    def pooled(self, x_btd: Tensor) -> Any:
        f_bts = self.sae.encode(x_btd)
        return csr_array(torch.cat([f_bts.amax(1), f_bts.mean(1)], dim=1).float().cpu().numpy())


def random_directions(x_nd: Tensor, n: int, generator: torch.Generator) -> Directions:
    """Directions drawn from a normal distribution, in which each neuron counts by its own deviation."""
    deviation_d = x_nd.std(0)
    drawn_md = torch.randn(n, x_nd.shape[1], generator=generator) / deviation_d.clamp_min(deviation_d.max() * 1e-6)
    return Directions("direction", drawn_md, x_nd.shape[1])


def components(x_nd: Tensor, n: int) -> Directions:
    """The principal components of tokens with the largest variances."""
    covariance_dd = torch.cov(x_nd.double().T)
    return Directions("component", torch.linalg.eigh(covariance_dd).eigenvectors.T.flip(0)[:n].float(), x_nd.shape[1])


def centres(x_nd: Tensor, n: int, generator: torch.Generator) -> Centres:
    """Centres of k-means (Lloyd's rounds from random tokens); one without tokens stays where it was."""
    rows_md = x_nd[torch.randperm(len(x_nd), generator=generator)[:n]].clone()
    for _ in range(KMEANS_ROUNDS):
        nearest_n = torch.cdist(x_nd, rows_md).argmin(1)
        size_m = torch.bincount(nearest_n, minlength=len(rows_md))
        sum_md = torch.zeros_like(rows_md).index_add_(0, nearest_n, x_nd)
        rows_md = torch.where(size_m[:, None] > 0, sum_md / size_m.clamp_min(1)[:, None], rows_md)
    return Centres(rows_md)


@torch.no_grad()
def random_sae(sae: SparseAutoencoder, x_nd: Tensor, seed: int) -> SparseAutoencoder:
    """An SAE of the same architecture and options with the random weights that it has before data are looked at.

    Its normalisation, and the thresholds that an architecture calibrates to how strongly latents answer, are of the
    tokens: without them it would say more of the size of activations than of the latents' directions.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        found = type(sae)(sae.d_in, **sae.options())
        points_p = torch.randint(len(x_nd), (found.n_points,))
    set_normalization(found, x_nd)
    z_nd = found.normalize(x_nd)
    found.keep_points(unit_rows(z_nd[points_p]))
    found.constrain()
    found.calibrate(z_nd)
    found.training_pass(z_nd[:CALIBRATION_TOKENS], Progress())
    return found.eval()
