"""The reconstruction loss."""

from torch import Tensor


def mean_squared_error(z_hat_bd: Tensor, z_bd: Tensor) -> Tensor:
    """Mean squared error over tokens and dimensions, a scalar.

    On normalised activations, whose variance is 1, it is close to the fraction of variance unexplained.
    """
    return (z_hat_bd - z_bd).square().mean()
