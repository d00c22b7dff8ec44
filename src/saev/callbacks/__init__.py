"""Lightning callbacks, one a file."""

from saev.callbacks.activation_writer import VitActivationWriter
from saev.callbacks.checkpoint_io import DurableCheckpointIO
from saev.callbacks.feature_visualizer import FeatureVisualizer
from saev.callbacks.hyperparameters import Hyperparameters
from saev.callbacks.image_progress import ImageProgress
from saev.callbacks.run_checkpoint import RunCheckpoint
from saev.callbacks.run_config import RunConfig
from saev.callbacks.sae_exporter import SAEExporter
from saev.callbacks.sweep_report import SweepReport
from saev.callbacks.training_progress import TrainingProgress

__all__ = [
    "DurableCheckpointIO",
    "FeatureVisualizer",
    "Hyperparameters",
    "ImageProgress",
    "RunCheckpoint",
    "RunConfig",
    "SAEExporter",
    "SweepReport",
    "TrainingProgress",
    "VitActivationWriter",
]
