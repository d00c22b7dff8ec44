"""What is measured on an SAE: pure functions and torchmetrics classes."""

from saev.metrics.codes import CodeStatistics as CodeStatistics
from saev.metrics.dictionary import Coherence as Coherence
from saev.metrics.dictionary import Stability as Stability
from saev.metrics.dictionary import decoder_coherence as decoder_coherence
from saev.metrics.dictionary import nearest_other as nearest_other
from saev.metrics.dictionary import nearest_stability as nearest_stability
from saev.metrics.dictionary import one_to_one as one_to_one
from saev.metrics.dictionary import stability as stability
from saev.metrics.embeddings import embedding_cosine as embedding_cosine
from saev.metrics.embeddings import knn_agreement as knn_agreement
from saev.metrics.embeddings import probe_accuracies as probe_accuracies
from saev.metrics.embeddings import probe_halves as probe_halves
from saev.metrics.embeddings import recovered as recovered
from saev.metrics.embeddings import zero_shot_accuracy as zero_shot_accuracy
from saev.metrics.monosemanticity import Monosemanticity as Monosemanticity
from saev.metrics.neighbours import Nearest as Nearest
from saev.metrics.neighbours import nearest as nearest
from saev.metrics.own import METRICS as METRICS
from saev.metrics.own import SaeMetric as SaeMetric
from saev.metrics.own import check_own_metrics as check_own_metrics
from saev.metrics.own import own_figures as own_figures
from saev.metrics.own import own_metrics as own_metrics
from saev.metrics.reconstruction import ReconstructionQuality as ReconstructionQuality
from saev.metrics.reconstruction import fraction_of_variance_unexplained as fraction_of_variance_unexplained
