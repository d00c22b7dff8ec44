"""Training losses: pure functions of tensors."""

from saev.objectives.auxk import auxk_loss
from saev.objectives.total import AuxK, StepLosses, step_losses

__all__ = ["AuxK", "StepLosses", "auxk_loss", "step_losses"]
