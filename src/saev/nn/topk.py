"""TopK sparse autoencoder."""

from typing import final

from saev.nn.selecting import SelectingAutoencoder


@final
class TopK(SelectingAutoencoder):
    r"""Keeps the k largest pre-activations of each token: :math:`f = ReLU(TopK_k(h))`.

    Gao et al. 2024, "Scaling and evaluating sparse autoencoders", https://arxiv.org/abs/2406.04093.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Latents that may be active on one token.

    Raises:
        InputError: If k is not between 1 and d_sae.

    >>> import torch
    >>> sae = TopK(d_in=8, d_sae=32, k=4)
    >>> f_bs = sae.encode(torch.randn(5, 8))
    >>> f_bs.shape, (f_bs > 0).sum(dim=1).max().item() <= 4, sae.decode(f_bs).shape
    (torch.Size([5, 32]), True, torch.Size([5, 8]))
    """

    is_divisible = True

    def __init__(self, d_in: int, d_sae: int = 16_384, k: int = 32) -> None:
        super().__init__(d_in, d_sae, k, per="token")
