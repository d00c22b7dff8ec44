"""LightningModules, and how Lightning runs them."""

from saev.modules.evaluation import EvaluationModule
from saev.modules.latent_shards import LatentShards
from saev.modules.sae import SAELightningModule
from saev.modules.vit import VitLightningModule

__all__ = ["EvaluationModule", "LatentShards", "SAELightningModule", "VitLightningModule"]
