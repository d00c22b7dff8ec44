"""LightningModules, and how Lightning runs them."""

from saev.modules.latent_shards import LatentShards
from saev.modules.sae import DivergenceError, SAELightningModule
from saev.modules.vit import VitLightningModule

__all__ = ["DivergenceError", "LatentShards", "SAELightningModule", "VitLightningModule"]
