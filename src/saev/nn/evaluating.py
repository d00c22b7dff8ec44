"""An SAE that evaluates for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from saev.nn.base import SparseAutoencoder


@contextmanager
def evaluating(sae: SparseAutoencoder, device: torch.device) -> Iterator[SparseAutoencoder]:
    """The SAE, in evaluation mode on a device while the block runs; mode and device are then again what they were."""
    modes, earlier = {part: part.training for part in sae.modules()}, sae.mean_d.device
    try:
        yield sae.eval().to(device)
    finally:
        sae.to(earlier)
        for part, mode in modes.items():
            part.training = mode
