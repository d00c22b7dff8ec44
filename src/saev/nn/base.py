"""What all sparse autoencoders have in common."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from saev.errors import InputError
from saev.nn.functional import unit_rows, without_parallel


class SparseAutoencoder(nn.Module, ABC):
    r"""A one-layer sparse autoencoder on raw activations.

    With the stored mean \(\mu\) and scale \(\sigma\) of the activations,

    .. math::
        z = (x - \mu) / \sigma, \quad h = z W_{enc} + b_{enc}, \quad f = act(h), \quad
        \hat z = f W_{dec} + b_{dec}, \quad \hat x = \sigma \hat z + \mu.

    `encode`, `decode` and `forward` take and give raw activations; the steps between work on the
    normalised ones (`normalize`, `pre_activations`, `activate`, `reconstruct`), which is what training uses.
    The rows of W_dec have norm 1 after initialisation and after each training step.

    Shape suffixes: b = tokens of a batch (any number of leading dimensions), d = d_in, s = d_sae.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.

    Raises:
        InputError: If a size is not positive.
    """

    mean_d: Tensor
    scale: Tensor

    def __init__(self, d_in: int, d_sae: int) -> None:
        super().__init__()
        if d_in < 1 or d_sae < 1:
            raise InputError(f"an SAE needs d_in and d_sae of at least 1, not d_in={d_in} and d_sae={d_sae}")
        self.d_in = d_in
        self.d_sae = d_sae
        self.W_dec = nn.Parameter(unit_rows(torch.randn(d_sae, d_in)))
        self.W_enc = nn.Parameter(self.W_dec.detach().T.clone())
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.b_dec = nn.Parameter(torch.zeros(d_in))
        self.register_buffer("mean_d", torch.zeros(d_in))
        self.register_buffer("scale", torch.ones(()))

    @abstractmethod
    def activate(self, h_bs: Tensor) -> Tensor:
        """Sparse, non-negative codes (b, s) of the pre-activations (b, s)."""

    @abstractmethod
    def sparsity_penalty(self, f_bs: Tensor) -> Tensor:
        """The architecture's own penalty on the codes (b, s), a scalar."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The arguments besides d_in that build this SAE again."""

    @property
    def name(self) -> str:
        """A short name made of the class and its options, such as ``topk-d_sae4096-k32``."""
        return "-".join([type(self).__name__.lower(), *(f"{key}{value}" for key, value in self.options().items())])

    def normalize(self, x_bd: Tensor) -> Tensor:
        """Raw activations (b, d) to centred and scaled ones."""
        return (x_bd - self.mean_d) / self.scale

    def denormalize(self, z_bd: Tensor) -> Tensor:
        """Inverse of `normalize`."""
        return z_bd * self.scale + self.mean_d

    def pre_activations(self, z_bd: Tensor) -> Tensor:
        """Pre-activations (b, s) of normalised activations (b, d)."""
        return z_bd @ self.W_enc + self.b_enc

    def reconstruct(self, f_bs: Tensor) -> Tensor:
        """Normalised reconstruction (b, d) of codes (b, s)."""
        return f_bs @ self.W_dec + self.b_dec

    def encode(self, x_bd: Tensor) -> Tensor:
        """Codes (b, s) of raw activations (b, d)."""
        return self.activate(self.pre_activations(self.normalize(x_bd)))

    def decode(self, f_bs: Tensor) -> Tensor:
        """Raw reconstruction (b, d) of codes (b, s)."""
        return self.denormalize(self.reconstruct(f_bs))

    def forward(self, x_bd: Tensor) -> Tensor:
        """Raw reconstruction (b, d) of raw activations (b, d)."""
        return self.decode(self.encode(x_bd))

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Give every row of W_dec norm 1."""
        self.W_dec.copy_(unit_rows(self.W_dec))

    @torch.no_grad()
    def remove_parallel_gradient(self) -> None:
        """Remove from the gradient of W_dec what only changes the norms of its rows."""
        if self.W_dec.grad is not None:
            self.W_dec.grad.copy_(without_parallel(self.W_dec.grad, self.W_dec))
