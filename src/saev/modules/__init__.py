"""LightningModules, and how Lightning runs them."""

from saev.modules.evaluation import EvaluationModule as EvaluationModule
from saev.modules.latent_shards import LatentShards as LatentShards
from saev.modules.sae import SAELightningModule as SAELightningModule
from saev.modules.vit import VitLightningModule as VitLightningModule
