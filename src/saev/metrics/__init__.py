"""What is measured on an SAE: pure functions and torchmetrics classes."""

from saev.metrics.codes import CodeStatistics
from saev.metrics.dictionary import (
    Coherence,
    Stability,
    decoder_coherence,
    nearest_other,
    nearest_stability,
    stability,
)
from saev.metrics.embeddings import (
    embedding_cosine,
    knn_agreement,
    probe_accuracies,
    probe_halves,
    recovered,
    zero_shot_accuracy,
)
from saev.metrics.functional import fraction_of_variance_unexplained
from saev.metrics.monosemanticity import Monosemanticity
from saev.metrics.neighbours import Nearest, nearest
from saev.metrics.own import METRICS, SaeMetric, check_own_metrics, own_figures, own_metrics
from saev.metrics.reconstruction import ReconstructionQuality

__all__ = [
    "METRICS",
    "CodeStatistics",
    "Coherence",
    "Monosemanticity",
    "Nearest",
    "ReconstructionQuality",
    "SaeMetric",
    "Stability",
    "check_own_metrics",
    "decoder_coherence",
    "embedding_cosine",
    "fraction_of_variance_unexplained",
    "knn_agreement",
    "nearest",
    "nearest_other",
    "nearest_stability",
    "own_figures",
    "own_metrics",
    "probe_accuracies",
    "probe_halves",
    "recovered",
    "stability",
    "zero_shot_accuracy",
]
