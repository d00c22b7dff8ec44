"""What all sparse autoencoders have in common."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import torch
import xxhash
from torch import Tensor, nn

from saev.errors import InputError
from saev.nn.functional import remove_parallel_, to_unit_rows_, unit_rows
from saev.nn.processes import DIVIDED_TOKENS
from saev.registry import Registry, kept_arguments

MAX_ENTRIES_IN_NAME = 12  # Entries of a list.


@dataclass(frozen=True)
class Progress:
    """How far a run has come, and the multipliers that follow from it. By default all warming up is over.

    Args:
        step: Steps before this one; seeds what is random.
        n_steps: Steps of the run.
        tokens_per_step: Tokens of a step, over all processes.
        sparsity: Multiplier of the sparsity penalty, below 1 while it warms up.
        k: Multiplier of k, above 1 while it is annealed.
    """

    step: int = 0
    n_steps: int = 1
    tokens_per_step: int = 1
    sparsity: float = 1.0
    k: float = 1.0


@dataclass(frozen=True)
class TrainingPass:
    """What a training step gets from an architecture.

    Args:
        reconstruction: The reconstruction loss, a scalar.
        sparsity: The architecture's own penalty, a scalar.
        decoder_sd: The rows that the latents decode to, on the graph.
        z_hat_bd: The normalised reconstruction by all codes, detached.
        fired_s: Which latents were active on some token.
        l0: Mean number of active latents of a token, of those that this process has.
        l1: Mean sum of the codes of a token, of those latents.
    """

    reconstruction: Tensor
    sparsity: Tensor
    decoder_sd: Tensor
    z_hat_bd: Tensor
    fired_s: Tensor
    l0: Tensor
    l1: Tensor


class SparseAutoencoder(nn.Module, ABC):
    r"""A sparse autoencoder with a linear decoder, on raw activations.

    With the stored mean \(\mu\) and scale \(\sigma\) of the activations, and a way to find codes,

    .. math::
        z = (x - \mu) / \sigma, \quad f = codes(z), \quad \hat z = f W_{dec} + b_{dec}, \quad
        \hat x = \sigma \hat z + \mu.

    `encode`, `decode` and `forward` take and give raw activations; the steps between work on the normalised ones
    (`normalize`, `codes`, `reconstruct`), which is what training uses. Where `has_unit_rows`, the rows of W_dec have
    norm 1 after initialisation and after each training step. All parameters but W_enc (d, s) and b_dec (d) have the
    latents as their first dimension.

    Where the processes of a run divide the latents (`saev.nn.sharding`), tensors and indices of latents are those of
    the own ones, d_sae is the number of all, and `reconstruct` adds up what the processes contribute.

    Shape suffixes: b = tokens of a batch (any number of leading dimensions), d = d_in, s = d_sae, a = some latents,
    p = data points.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.

    Raises:
        InputError: If a size is not positive.

    >>> from saev.nn import TopK
    >>> sae, x_bd = TopK(d_in=8, d_sae=32, k=4), torch.randn(5, 8)
    >>> isinstance(sae, SparseAutoencoder), torch.equal(sae(x_bd), sae.decode(sae.encode(x_bd)))
    (True, True)
    """

    mean_d: Tensor
    scale_d: Tensor
    has_unit_rows = True
    is_divisible = False
    """Whether the processes of a run can divide its latents."""
    peak_lr = 4e-3
    """The learning rate of Adam that suits it, unless the instance has one of its own."""
    provenance: object = None
    """Where it comes from: a `saev.Provenance`, which files keep; None where nothing is known."""

    _metrics: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    _measured = ""
    """The digest of what the metrics were measured on."""

    def __init__(self, d_in: int, d_sae: int) -> None:
        super().__init__()
        if d_in < 1 or d_sae < 1:
            raise InputError(f"an SAE needs d_in and d_sae of at least 1, not d_in={d_in} and d_sae={d_sae}")
        self.d_in = d_in
        self.d_sae = d_sae
        self.processes = DIVIDED_TOKENS
        self.W_dec = nn.Parameter(unit_rows(torch.randn(d_sae, d_in)))
        self.b_dec = nn.Parameter(torch.zeros(d_in))
        self.register_buffer("mean_d", torch.zeros(d_in))
        self.register_buffer("scale_d", torch.ones(d_in))

    @abstractmethod
    def codes(self, z_bd: Tensor) -> Tensor:
        """Sparse, non-negative codes (b, s) of normalised activations (b, d)."""

    @abstractmethod
    def pre_activations(self, z_bd: Tensor, latents_a: Tensor | None = None) -> Tensor:
        """How much normalised activations (b, d) speak for latents: (b, s), or (b, a) for some latents only."""

    @abstractmethod
    def training_pass(self, z_bd: Tensor, progress: Progress) -> TrainingPass:
        """The losses of normalised activations (b, d), with gradients for all parameters."""

    @abstractmethod
    def reset_latents(self, latents_a: Tensor, directions_ad: Tensor, size: Tensor | None = None) -> None:
        """Reset latents: without biases, to directions of norm 1.

        Args:
            latents_a: Indices of the latents.
            directions_ad: What they decode to and, times the size, encode from.
            size: Norm of their encoders, where the architecture has such; by default the mean of the other latents.
        """

    @abstractmethod
    def folded(self) -> Self:
        """A copy with the same codes and reconstructions whose mean is 0 and whose scale is 1.

        Its plain weights work on raw activations, wherever such are expected.

        Raises:
            InputError: If the architecture has no such copy.
        """

    def options(self) -> dict[str, Any]:
        """The arguments besides d_in that build this SAE again: by default the attributes of their names.

        Raises:
            InputError: If there is no attribute of a name.
        """
        return {name: value for name, value in kept_arguments(self, "options").items() if name != "d_in"}

    def __repr__(self) -> str:
        """The class with the arguments that build it again."""
        try:
            arguments = {"d_in": self.d_in, **self.options()}
        except InputError:  # a class of one's own that does not keep them
            arguments = {"d_in": self.d_in, "d_sae": self.d_sae}
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"

    @property
    def name(self) -> str:
        """A short name made of the class and its options, such as ``topk-d_sae4096-k32``."""
        options = [f"{key}{_in_name(value)}" for key, value in self.options().items()]
        return "-".join([type(self).__name__.lower(), *options])

    def lr_multipliers(self) -> dict[str, float]:
        """By name, each parameter whose learning rate is a multiple of the others', and that multiplier."""
        return {}

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """What was measured on it, by stage ("train", "val", "test"), as in metrics.json; empty where nothing was."""
        return self._metrics

    @metrics.setter
    def metrics(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        self._metrics, self._measured = found, self._digest() if found else ""

    @property
    def is_as_measured(self) -> bool:
        """Whether weights and options are those that it had when its metrics were set."""
        return not self._metrics or self._measured == self._digest()

    def _digest(self) -> str:
        found = xxhash.xxh3_128(repr(sorted(self.options().items())).encode())
        for name, tensor in self.state_dict().items():
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return found.hexdigest()

    @property
    def own_latents(self) -> slice:
        """Which of the d_sae latents this process has: all, unless the processes divide them."""
        return self.processes.latents.part(self.d_sae)

    @property
    def n_points(self) -> int:
        """How many data points the initialisation draws."""
        return self.d_sae

    def keep_points(self, points_pd: Tensor) -> None:
        """Take normalised data points of norm 1 that the dictionary stays tied to."""

    def calibrate(self, z_bd: Tensor) -> None:
        """Set what depends on how strongly the latents answer to normalised activations, before training."""

    def latent_dims(self) -> dict[str, int]:
        """The names of the parameters that belong to single latents, each with the dimension of the latents."""
        return {name: int(name == "W_enc") for name, _ in self.named_parameters() if name != "b_dec"}

    def latent_parameters(self) -> list[tuple[nn.Parameter, int]]:
        """The parameters that belong to single latents, each with the dimension of the latents."""
        return [(self.get_parameter(name), dim) for name, dim in self.latent_dims().items()]

    def normalize(self, x_bd: Tensor) -> Tensor:
        """Raw activations (b, d) to centred and scaled ones.

        Raises:
            InputError: If they are no tensor of width d_in.
        """
        if not isinstance(x_bd, Tensor) or x_bd.shape[-1:] != self.mean_d.shape:
            given = f"a tensor of shape {tuple(x_bd.shape)}" if isinstance(x_bd, Tensor) else type(x_bd).__name__
            raise InputError(f"the SAE takes tensors of activations (..., {self.d_in}), not {given}")
        return (x_bd - self.mean_d) / self.scale_d

    def denormalize(self, z_bd: Tensor) -> Tensor:
        """Inverse of `normalize`."""
        return z_bd * self.scale_d + self.mean_d

    def reconstruct(self, f_bs: Tensor) -> Tensor:
        """Normalised reconstruction (b, d) of codes (b, s)."""
        return self.processes.latents.sum_on_graph(f_bs @ self.W_dec) + self.b_dec

    def encode(self, x_bd: Tensor) -> Tensor:
        """Codes (b, s) of raw activations (b, d)."""
        return self.codes(self.normalize(x_bd))

    def decode(self, f_bs: Tensor) -> Tensor:
        """Raw reconstruction (b, d) of codes (b, s)."""
        return self.denormalize(self.reconstruct(f_bs))

    def forward(self, x_bd: Tensor) -> Tensor:
        """Raw reconstruction (b, d) of raw activations (b, d)."""
        return self.decode(self.encode(x_bd))

    @torch.no_grad()
    def constrain(self) -> None:
        """Bring the parameters back to where they may be, after a step: rows of W_dec to norm 1."""
        if self.has_unit_rows:
            to_unit_rows_(self.W_dec)

    @torch.no_grad()
    def project_gradients(self) -> None:
        """Remove from the gradients what `constrain` would undo: what only changes the norms of the rows of W_dec."""
        if self.has_unit_rows and self.W_dec.grad is not None:
            remove_parallel_(self.W_dec.grad, self.W_dec)


ARCHITECTURES: Registry[SparseAutoencoder] = Registry(SparseAutoencoder, "architecture", "saev.architectures")


def _in_name(value: object) -> str:
    if isinstance(value, list) and len(value) > MAX_ENTRIES_IN_NAME:
        digest = hashlib.sha256(repr(value).encode()).hexdigest()[:8]
        return f"{value[0]}_etc{len(value)}_{digest}"
    return "_".join(map(str, value)) if isinstance(value, list) else str(value)
