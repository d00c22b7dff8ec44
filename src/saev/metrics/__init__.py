"""What is measured on an SAE: pure functions and torchmetrics classes."""

from saev.metrics.codes import CodeStatistics
from saev.metrics.functional import fraction_of_variance_unexplained
from saev.metrics.reconstruction import ReconstructionQuality

__all__ = ["CodeStatistics", "ReconstructionQuality", "fraction_of_variance_unexplained"]
