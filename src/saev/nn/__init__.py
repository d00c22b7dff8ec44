"""Sparse autoencoder architectures: pure torch, no I/O."""

from saev.nn.base import SparseAutoencoder
from saev.nn.relu import ReLU
from saev.nn.topk import TopK

ARCHITECTURES: dict[str, type[SparseAutoencoder]] = {"ReLU": ReLU, "TopK": TopK}

__all__ = ["ARCHITECTURES", "ReLU", "SparseAutoencoder", "TopK"]
