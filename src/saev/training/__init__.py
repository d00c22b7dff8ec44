"""Training of SAEs without Lightning."""

from saev.training.loss import AuxK as AuxK
from saev.training.loss import StepLosses as StepLosses
from saev.training.loss import auxk_loss as auxk_loss
from saev.training.loss import step_losses as step_losses
