"""BatchTopK sparse autoencoder."""

from typing import final

from saev.nn.selecting import SelectingAutoencoder


@final
class BatchTopK(SelectingAutoencoder):
    r"""Keeps the k b largest pre-activations of a batch of b tokens, so that hard tokens get more latents.

    At evaluation :math:`f = h \cdot [h > \theta]` with the running mean :math:`\theta` of the smallest value that
    a batch kept. Bussmann et al. 2024, "BatchTopK Sparse Autoencoders", https://arxiv.org/abs/2412.06410.

    Args:
        d_in: Width of the activations.
        d_sae: Number of latents.
        k: Active latents a token, on average.

    Raises:
        InputError: If k is not between 1 and d_sae.

    >>> import torch
    >>> sae = BatchTopK(d_in=8, d_sae=32, k=4).train()
    >>> (sae.encode(torch.randn(5, 8)) > 0).sum().item()  # 4 a token on average; in evaluation by the threshold
    20
    """

    is_divisible = True

    def __init__(self, d_in: int, d_sae: int = 16_384, k: int = 32) -> None:
        super().__init__(d_in, d_sae, k, per="batch")
