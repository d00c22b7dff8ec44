"""Sparse autoencoder architectures: pure torch, no I/O."""

from saev.nn.base import SparseAutoencoder, Step, TrainingPass
from saev.nn.batch_topk import BatchTopK
from saev.nn.hierarchical_topk import HierarchicalTopK
from saev.nn.matryoshka import Matryoshka
from saev.nn.relu import ReLU
from saev.nn.topk import TopK

ARCHITECTURES: dict[str, type[SparseAutoencoder]] = {
    architecture.__name__: architecture for architecture in (BatchTopK, HierarchicalTopK, Matryoshka, ReLU, TopK)
}

__all__ = [
    "ARCHITECTURES",
    "BatchTopK",
    "HierarchicalTopK",
    "Matryoshka",
    "ReLU",
    "SparseAutoencoder",
    "Step",
    "TopK",
    "TrainingPass",
]
