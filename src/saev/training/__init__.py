"""Training of SAEs without Lightning."""

from saev.training.auxk import auxk_loss
from saev.training.loss import AuxK, StepLosses, step_losses

__all__ = ["AuxK", "StepLosses", "auxk_loss", "step_losses"]
