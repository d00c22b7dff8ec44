"""LightningModules."""

from saev.modules.sae import SAELightningModule
from saev.modules.vit import VitLightningModule

__all__ = ["SAELightningModule", "VitLightningModule"]
