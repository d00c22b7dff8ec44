"""Sparse autoencoder architectures: pure torch, no I/O."""

from saev.nn.archetypal import Archetypal
from saev.nn.base import ARCHITECTURES, Progress, SparseAutoencoder, TrainingPass
from saev.nn.batch_topk import BatchTopK
from saev.nn.dense_pass import dense_pass
from saev.nn.gated import Gated
from saev.nn.hierarchical_topk import HierarchicalTopK
from saev.nn.jumprelu import JumpReLU
from saev.nn.matching_pursuit import MatchingPursuit
from saev.nn.matryoshka import Matryoshka
from saev.nn.one_layer import OneLayerAutoencoder
from saev.nn.relu import ReLU
from saev.nn.selecting import SelectingAutoencoder
from saev.nn.topk import TopK

_OWN = (Archetypal, BatchTopK, Gated, HierarchicalTopK, JumpReLU, MatchingPursuit, Matryoshka, ReLU, TopK)
for _architecture in _OWN:
    ARCHITECTURES.add(_architecture)

__all__ = [
    "ARCHITECTURES",
    "Archetypal",
    "BatchTopK",
    "Gated",
    "HierarchicalTopK",
    "JumpReLU",
    "MatchingPursuit",
    "Matryoshka",
    "OneLayerAutoencoder",
    "Progress",
    "ReLU",
    "SelectingAutoencoder",
    "SparseAutoencoder",
    "TopK",
    "TrainingPass",
    "dense_pass",
]
