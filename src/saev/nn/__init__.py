"""Sparse autoencoder architectures: pure torch, no I/O."""

from saev.nn.archetypal import Archetypal as Archetypal
from saev.nn.base import ARCHITECTURES as ARCHITECTURES
from saev.nn.base import Progress as Progress
from saev.nn.base import SparseAutoencoder as SparseAutoencoder
from saev.nn.base import TrainingPass as TrainingPass
from saev.nn.batch_topk import BatchTopK as BatchTopK
from saev.nn.dense_pass import dense_pass as dense_pass
from saev.nn.gated import Gated as Gated
from saev.nn.hierarchical_topk import HierarchicalTopK as HierarchicalTopK
from saev.nn.jumprelu import JumpReLU as JumpReLU
from saev.nn.matching_pursuit import MatchingPursuit as MatchingPursuit
from saev.nn.matryoshka import Matryoshka as Matryoshka
from saev.nn.one_layer import OneLayerAutoencoder as OneLayerAutoencoder
from saev.nn.relu import ReLU as ReLU
from saev.nn.selecting import SelectingAutoencoder as SelectingAutoencoder
from saev.nn.topk import TopK as TopK

_OWN = (Archetypal, BatchTopK, Gated, HierarchicalTopK, JumpReLU, MatchingPursuit, Matryoshka, ReLU, TopK)
for _architecture in _OWN:
    ARCHITECTURES.add(_architecture)
