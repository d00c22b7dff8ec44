"""Lightning callbacks, one a file."""

from saev.callbacks.activation_writer import VitActivationWriter
from saev.callbacks.feature_visualizer import FeatureVisualizer
from saev.callbacks.image_progress import ImageProgress
from saev.callbacks.run_checkpoint import RunCheckpoint
from saev.callbacks.sae_exporter import SAEExporter

__all__ = ["FeatureVisualizer", "ImageProgress", "RunCheckpoint", "SAEExporter", "VitActivationWriter"]
